//! Checks of the report about a server.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dcos_node::command::{World, preflight};
use dcos_node::dcos::event::Events;
use dcos_node::preflight::report::{Report, Verdict};
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::clock::{Clock, ClockState};
use dcos_node::system::root::Root;
use support::http_server::CLOSED;
use support::tls;

use super::serve;

/// What `dcos-node preflight` reports of a node that is an empty directory: verdict, finding and
/// cure of each check.
fn report(url: &str, environment: &[(&str, &str)]) -> (BTreeMap<String, [String; 3]>, String) {
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command
        .args(["preflight", "slave", "--json", "--bootstrap-url", url, "--root"])
        .arg(root.path());
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ] {
        command.env_remove(name);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let field =
        |check: &serde_json::Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    (
        checks
            .map(|c| (field(c, "id"), ["verdict", "found", "cure"].map(|name| field(c, name))))
            .collect(),
        text,
    )
}

const LAYERS: [&str; 8] =
    ["proxy", "name", "connect", "tls", "http", "clock", "build", "artifacts"];

fn verdicts(checks: &BTreeMap<String, [String; 3]>) -> [&str; 8] {
    LAYERS.map(|layer| checks[&format!("bootstrap.{layer}")][0].as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn report_has_one_check_per_layer() {
    let (server, packed, _directory) = serve().await;
    let (checks, _) = report(server.url(), &[]);
    assert_eq!(
        verdicts(&checks),
        ["pass", "pass", "pass", "skipped", "pass", "warn", "pass", "pass"],
        "{checks:#?}"
    );
    std::fs::remove_file(packed.bootstrap_archive()).unwrap();
    let (checks, _) = report(server.url(), &[]);
    let [verdict, found, _] = &checks["bootstrap.artifacts"];
    assert!(verdict == "fail" && found.contains("1 of 3 are missing: bootstrap/"), "{found}");
    let url = server.url().to_owned();
    let _refusing = server.stop().await;
    let (checks, _) = report(&url, &[]);
    assert_eq!(
        verdicts(&checks),
        ["pass", "pass", "fail", "skipped", "skipped", "skipped", "skipped", "skipped"],
        "{checks:#?}"
    );
    assert_eq!(checks["bootstrap.build"][1], "not reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intercepting_proxy_is_shown_without_its_password() {
    let (server, _, _directory) = serve().await;
    // To ask for a whole address is what a proxy is asked for; this one knows none.
    let proxy = server.url().replace("http://", "http://user:secret@");
    let (checks, text) = report("http://bootstrap.example:8080/dcos", &[("http_proxy", &proxy)]);
    assert_eq!(verdicts(&checks)[..5], ["warn", "pass", "pass", "skipped", "fail"], "{checks:#?}");
    assert!(checks["bootstrap.connect"][1].starts_with("the proxy: 127.0.0.1"), "{checks:#?}");
    assert!(!text.contains("secret"), "{text}");
    let (checks, _) = report(
        server.url(),
        &[("http_proxy", &format!("http://{CLOSED}")), ("no_proxy", "10.0.0.0/8,127.0.0.0/8")],
    );
    assert_eq!(verdicts(&checks)[..5], ["pass", "pass", "pass", "skipped", "pass"], "{checks:#?}");
}

/// A clock that a time daemon keeps, or nobody.
struct TestClock {
    is_kept: bool,
}

impl Clock for TestClock {
    fn state(&self) -> std::io::Result<ClockState> {
        let error = if self.is_kept { Duration::from_millis(1) } else { Duration::from_secs(16) };
        let unsynchronised = !self.is_kept;
        Ok(ClockState {
            marked_bad: unsynchronised,
            unsynchronised,
            estimated_error: error,
            max_error: error,
            offset: Duration::ZERO,
        })
    }
}

/// What is reported by a node with this clock, which is an empty directory.
async fn report_by_clock(url: &str, is_kept: bool) -> Report {
    let root = tempfile::tempdir().unwrap();
    let world = World {
        root: Root::new(root.path()),
        systemd: None,
        patience: Duration::from_secs(1),
        clock: Arc::new(TestClock { is_kept }),
        events: Events::unheard(),
        cancellation: Cancellation::default(),
        command_line: "a test".to_owned(),
        authorities: Some(tls::authorities()),
        stamp: None,
    };
    let request =
        preflight::Request { bootstrap_url: Some(url.to_owned()), ..preflight::Request::default() };
    preflight::run(&request, &world).await.unwrap_or_else(|failure| panic!("{failure:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_clock_is_the_cause_of_invalid_dates_and_skew() {
    let (server, _, _directory) = serve().await;
    let rows = [
        (
            tls::in_front_of(server.url(), "future.pem"),
            "bootstrap.tls",
            Verdict::Fail,
            "is not valid before 2110-01-01",
        ),
        (
            tls::in_front_of(server.url(), "expired.pem"),
            "bootstrap.tls",
            Verdict::Fail,
            "expired at 2021-01-01",
        ),
        // The server lives in 1994.
        (server.url().to_owned(), "bootstrap.clock", Verdict::Warn, "s behind"),
    ];
    for (url, id, verdict, words) in rows {
        for is_kept in [true, false] {
            let report = report_by_clock(&url, is_kept).await;
            let check = report.checks.iter().find(|check| check.id == id).unwrap();
            assert!(check.verdict == verdict && check.found.contains(words), "{check:#?}");
            let cure = check.cure.as_deref().unwrap();
            assert_eq!(
                (
                    cure.contains("see time.sync first"),
                    cure.contains("this node's clock is synchronised")
                ),
                (!is_kept, is_kept),
                "{cure}"
            );
            let blames =
                check.found.contains("is not to be trusted: the kernel marks the clock as bad");
            assert_eq!(blames, !is_kept && id == "bootstrap.tls", "{check:#?}");
        }
    }
}
