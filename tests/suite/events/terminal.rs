//! What a terminal draws of the events.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::event::Event;
use support::build::{Build, Damage};
use support::http_server::Server;

use super::{as_nobody, lines_of, told};

/// A command line on a terminal of this kind.
fn terminal(line: &str, term: Option<&str>) -> Command {
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env_remove("TERM")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    terminal.envs(term.map(|term| ("TERM", term)));
    terminal
}

#[test]
fn dumb_terminal_gets_the_plain_lines_of_a_file() {
    let build = tempfile::tempdir().unwrap();
    Build::tiny().damaged("units", Damage::BitFlip).pack(build.path());
    fs::set_permissions(build.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for term in [Some("dumb"), None] {
        let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let (build, root_, events) =
            (build.path().display(), root.path().display(), file.path().display());
        let words =
            format!("install master -d --bootstrap-url {build} --root {root_} --events {events}");
        // A shell may give its children a TERM of its own.
        let unset = if term.is_none() { "env -u TERM " } else { "" };
        let mut terminal =
            terminal(&format!("{unset}{} {words}", env!("CARGO_BIN_EXE_dcos-node")), term);
        as_nobody(&mut terminal, &[root.path(), file.path()]);
        let output = terminal.output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
        assert_eq!(output.status.code(), Some(6), "{shown}");
        let lines = lines_of(&told(file.path()));
        assert!(lines.contains("fetch and unpack") && lines.contains("warning: "), "{lines}");
        let failure = shown
            .strip_prefix(&lines)
            .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{shown}"));
        assert!(failure.starts_with("error: ") && !failure.contains('\u{1b}'), "{failure:?}");
    }
}

/// What an install from there draws on a terminal, and its events.
async fn on_a_terminal(url: &str) -> (String, Vec<Event>) {
    let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let words = [
        "install",
        "master",
        "-d",
        "--bootstrap-url",
        url,
        "--root",
        root.path().to_str().unwrap(),
    ];
    let line = format!(
        "{} {} --events {}",
        env!("CARGO_BIN_EXE_dcos-node"),
        words.join(" "),
        file.path().display()
    );
    let mut terminal = terminal(&line, Some("xterm"));
    terminal.env("NO_COLOR", "1");
    as_nobody(&mut terminal, &[root.path(), file.path()]);
    let output = tokio::task::spawn_blocking(move || terminal.output().unwrap()).await.unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{drawn}");
    (drawn, told(file.path()))
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_bars_follow_the_events() {
    let build = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..400_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let packed = Build::tiny().with_file("units", "noise", 0o644, &noise).pack(build.path());
    let server = Server::start(build.path()).await;
    let archive = packed.archive("units");
    let path = format!("/{}", archive.strip_prefix(build.path()).unwrap().display());
    let bytes = fs::metadata(&archive).unwrap().len();
    let key = ActionKey::Package(packed.id("units").parse().unwrap());
    let steps_in = |events: &[Event]| -> Vec<(u64, Option<u64>)> {
        let step = |event: &Event| match event {
            Event::Progress { key: of, bytes, total } if *of == key => Some((*bytes, *total)),
            _ => None,
        };
        events.iter().filter_map(step).collect()
    };
    let size = r"([0-9.]+ [KM]?i?B)";
    let bar =
        regex::Regex::new(&format!(r"package units--[0-9a-f]+ +{size}/{size} +{size}/s")).unwrap();
    let bars_in = |drawn: &str| -> Vec<(String, String)> {
        bar.captures_iter(drawn)
            .map(|bar| bar.extract::<3>().1)
            .map(|[bytes, total, _]| (bytes.to_owned(), total.to_owned()))
            .collect()
    };
    // Some ten pieces, each long enough to be drawn; longer where the machine has no time to draw.
    let (mut drawn, mut events) = (String::new(), Vec::new());
    for pause in [150, 1000, 5000] {
        server.slow(
            &path,
            usize::try_from(bytes / 10).unwrap(),
            std::time::Duration::from_millis(pause),
        );
        (drawn, events) = on_a_terminal(server.url()).await;
        if steps_in(&events).len() > 3 && bars_in(&drawn).iter().collect::<BTreeSet<_>>().len() > 1
        {
            break;
        }
    }
    let (steps, bars) = (steps_in(&events), bars_in(&drawn));
    assert!(steps.len() > 3 && steps.windows(2).all(|two| two[0].0 <= two[1].0), "{steps:?}");
    let total = steps.iter().find_map(|(_, total)| *total).expect("a total");
    assert_eq!((total, steps.last().map(|(last, _)| *last)), (bytes, Some(bytes)));
    let whole = indicatif::HumanBytes(total).to_string();
    // What is drawn was told: each bar stands where an event put it, with a rate.
    let told: BTreeSet<String> =
        steps.iter().map(|(bytes, _)| indicatif::HumanBytes(*bytes).to_string()).collect();
    assert!(bars.iter().collect::<BTreeSet<_>>().len() > 1, "{bars:?}\n{drawn}");
    assert!(
        bars.iter().all(|(bytes, total)| told.contains(bytes) && *total == whole),
        "{told:?}, {whole}: {bars:?}"
    );
    // Lines stand between the bars: all that people are told elsewhere but the beginnings of the
    // fetches, which the bars are.
    for line in lines_of(&events).lines().filter(|line| !line.starts_with("fetch and unpack")) {
        assert!(drawn.contains(line), "{line} is not in:\n{drawn}");
    }
}
