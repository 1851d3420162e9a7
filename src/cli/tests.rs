//! Command lines that are understood, and those that are refused.

use super::*;

fn parsed(line: &str) -> Result<Invocation, Refused> {
    parse(line.split(' ').map(OsString::from))
}

#[test]
fn the_definition_is_sound() {
    Typed::command().debug_assert();
}

#[test]
fn what_is_wrong_is_refused() {
    for line in [
        "dcos-node",
        "dcos-node install",
        "dcos-node install foo",
        "dcos-node install master slave",
        "dcos-node install master --skip time.sync",
        "dcos-node install master -d -p",
        "dcos-node status --json --events -",
        "dcos-node uninstall --drain=soon",
        "dcos-node uninstall --drain 5m",
        "dcos-node publish",
        "dcos-node publish serve --check --recompress zstd",
        "dcos-node publish serve --recompress gzip",
        "dcos-node serve serve --listen 8080",
        "dcos-node preflight --wait-time-sync 15",
        "dcos-node preflight --wait-time-sync m",
        "dcos-node preflight --wait-time-sync 25h",
        "dcos-node preflight --wait-time-sync 18446744073709551615h",
    ] {
        assert!(parsed(line).is_err_and(|r| r.is_error), "{line}");
    }
}

#[test]
fn flags_of_the_classic_script_are_understood() {
    let Ok(Invocation { command: Command::Install(request, None), .. }) = parsed("dcos-node install -d --no-block-dcos-setup slave_public")
    else {
        panic!()
    };
    assert!(request.skip_all.is_some() && !request.follow && request.role == Role::SlavePublic);
    let Ok(Invocation { command: Command::Preflight { request, strict: false }, .. }) = parsed("dcos-node install --preflight-only slave")
    else {
        panic!()
    };
    assert_eq!(request.role, Some(Role::Slave));
}

#[test]
fn durations_have_a_unit() {
    assert_eq!(["30s", "15m", "1h", "0s"].map(|text| duration(text).map(|d| d.as_secs())), [Ok(30), Ok(900), Ok(3600), Ok(0)]);
}

#[test]
fn what_promises_to_change_nothing_is_held_to_it() {
    for line in
        ["preflight", "preflight master", "install master --dry-run", "install master -p", "uninstall --dry-run", "publish x --check"]
    {
        assert!(parsed(&format!("dcos-node {line}")).is_ok_and(|i| i.must_not_write()), "{line}");
    }
    for line in ["install master", "install master -d", "uninstall", "recover", "publish x", "serve x"] {
        assert!(parsed(&format!("dcos-node {line}")).is_ok_and(|i| !i.must_not_write()), "{line}");
    }
}

#[test]
fn skips_are_one_a_line() {
    let pair = |check: &str, reason: &str| (check.to_owned(), reason.to_owned());
    let Skips(read) = skips("time.sync = a=b\n\n  ports.free=ours\n").unwrap();
    assert_eq!(read, [pair("time.sync", "a=b"), pair("ports.free", "ours")]);
    assert!(skips("").is_ok_and(|none| none.0.is_empty()));
    for text in ["time.sync", "time.sync=", "=reason", "a=b\nc"] {
        assert!(skips(text).is_err(), "{text}");
    }
}

#[test]
fn every_help_text_fits_80_columns() {
    let mut command = Typed::command();
    command.build();
    let texts = std::iter::once(command.clone()).chain(command.get_subcommands().cloned()).map(|mut c| c.render_long_help().to_string());
    for text in texts {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn a_drain_has_a_limit_also_if_none_is_given() {
    for (line, minutes) in [("--drain", Some(10)), ("--drain=1h", Some(60)), ("--strict", None)] {
        let Ok(Invocation { command: Command::Uninstall(request), .. }) = parsed(&format!("dcos-node uninstall {line}")) else {
            panic!("{line} is not understood");
        };
        assert_eq!(request.drain, minutes.map(|minutes| Duration::from_secs(minutes * 60)), "{line}");
    }
}
