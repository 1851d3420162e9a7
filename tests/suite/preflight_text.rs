//! The report of the checks as people read it, compared with recorded text in
//! `fixtures/preflight/`.
//!
//! `make bless` records it again.
use std::process::Command;

use dcos_node::dcos::role::Role;
use dcos_node::output;
use dcos_node::output::paint::Paint;
use dcos_node::preflight::report::{
    Check, MissingPiece, Protection, Report, SCHEMA, ScriptView, Scripts, Sealed, Verdict,
};
use support::recorded::is_recorded;

fn check(id: &'static str, verdict: Verdict, found: &str) -> Check {
    let cure = matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Unknown).then(|| {
        "do what has to be done on the bootstrap machine, generate the build again, and try it \
         here"
            .to_owned()
    });
    Check {
        id,
        verdict,
        found: found.to_owned(),
        expected: "something that is said in more words than a line of eighty columns holds, as \
                   some are",
        why: "nothing works without it",
        cure,
        skippable: id != "disk.space",
        skipped_because: None,
    }
}

/// One of each kind, the worst first, with findings as scripts and servers give them.
fn report() -> Report {
    let novel =
        "a script may write a novel to its standard error, and this is one of those ".repeat(20);
    let mut skipped = check(
        "time.sync",
        Verdict::Fail,
        "the kernel's clock is not synchronised (maximum error 16s)",
    );
    skipped.skipped_because = Some("the hypervisor keeps the clock".into());
    Report {
        schema: SCHEMA,
        role: Some(Role::SlavePublic),
        protection: Protection {
            sealed: Some(Sealed::NotEnforced),
            not_enforced_because: Some("this kernel has neither".into()),
        },
        scripts: Some(Scripts {
            view: ScriptView::CopyOnWrite,
            missing: vec![MissingPiece {
                piece: "pid-namespace",
                because: "Invalid argument (os error 22)".into(),
            }],
        }),
        checks: vec![
            check(
                "ip-detect.output",
                Verdict::Fail,
                "10.0.0.1, but it writes to stderr: \u{1b}[31mline 2:\r\n\tcommand not found",
            ),
            skipped,
            check(
                "disk.space",
                Verdict::Unknown,
                "/var/lib cannot be looked at: permission denied",
            ),
            check("dns.resolvers", Verdict::Unknown, &novel),
            check("memory.size", Verdict::Warn, "4 GB"),
            check("privileges.root", Verdict::Pass, "root"),
            check(
                "systemd.running",
                Verdict::Pass,
                &format!("252.39, {}", "and a good deal more that is worth knowing, ".repeat(3)),
            ),
            check("ip-detect.master-list", Verdict::Skipped, "only for masters with a static list"),
        ],
    }
}

#[test]
fn report_is_a_table_with_the_worst_results_last() {
    let text = output::preflight::text(&report(), Paint::stdout(true));
    is_recorded("fixtures/preflight/report.txt", &text);
    assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{text}");
}

#[test]
fn report_outside_a_terminal_has_no_colour() {
    for arguments in [&["preflight"][..], &["preflight", "--list"], &["explain", "time.sync"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(arguments)
            .output()
            .expect("run dcos-node");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.is_empty() && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn the_list_and_the_explanations_fit_80_columns() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(arguments)
            .output()
            .expect("run dcos-node");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    // A word that is longer stays whole, so that it can be copied.
    let fits = |line: &str| {
        line.chars().count() <= 80 || line.split_whitespace().any(|word| word.chars().count() > 40)
    };
    for arguments in [
        &["preflight", "--list"][..],
        &["preflight", "--list", "master"],
        &["explain", "time.sync"],
    ] {
        assert!(run(arguments).lines().all(fits), "{}", run(arguments));
    }
    for rule in dcos_node::preflight::table() {
        let text = run(&["explain", rule.id]);
        assert!(text.lines().all(fits) && text.contains("source:"), "{text}");
    }
}

#[test]
fn unknown_check_is_a_usage_error_with_a_suggestion() {
    let output = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .args(["explain", "tme.sync"])
        .output()
        .expect("run dcos-node");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean time.sync"));
}
