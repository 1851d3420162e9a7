//! Command lines that are understood, and those that are refused.

use std::time::Duration;

use super::quantity::duration;
use super::skips::{Skips, skips};
use super::texts::GLOBAL;
use super::*;
use crate::dcos::level::Level;
use crate::dcos::role::Role;

fn parsed(line: &str) -> Result<Invocation, Refused> {
    parse(line.split(' ').map(OsString::from))
}

/// The same with these variables set, and no others.
fn parsed_with(set: &[(&str, &str)], line: &str) -> Result<Invocation, Refused> {
    let variable = |name: &OsStr| {
        set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
    };
    parse_with(line.split(' ').map(OsString::from), &variable)
}

#[track_caller]
fn printing_with(set: &[(&str, &str)], line: &str) -> Printing {
    parsed_with(set, line)
        .unwrap_or_else(|refused| panic!("{set:?} {line}: {}", refused.text))
        .printing
}

#[test]
fn command_line_definition_is_valid() {
    definition().debug_assert();
}

#[test]
fn invalid_command_lines_are_refused() {
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
fn mistyped_wait_option_gets_a_usage_hint() {
    let said = |line: &str| parsed(line).expect_err(line).text;
    let tip = "\n\n  tip: a level follows an equals sign: '--wait=cluster-ready'\n\n";
    assert!(said("dcos-node install master --wait cluster-ready").contains(tip));
    assert!(said("dcos-node install --wait cluster-ready master").contains(tip));
    assert!(!said("dcos-node install --wait foo").contains("tip: a level"));
    let levels = said("dcos-node status --wait=ready");
    assert!(Level::ALL.iter().all(|level| levels.contains(level.word())), "{levels}");
    assert!(said("dcos-node status --wait-timeout=5s").contains("give --wait or --wait=LEVEL too"));
    assert!(
        parsed("dcos-node status --wait --wait-timeout=5s").is_ok()
            && parsed("dcos-node adopt").is_ok()
    );
}

#[test]
fn usage_error_with_json_is_one_document() {
    let failure = |line: &str| parsed(line).expect_err(line).failure();
    let said = |line: &str| failure(line).error.to_string();
    assert_eq!(said("dcos-node status --json --nosuch"), "unexpected argument '--nosuch' found");
    assert_eq!(
        said("dcos-node install --json"),
        "the following required arguments were not provided: <ROLE>"
    );
    assert_eq!(said("dcos-node"), "no command was given");
    assert!(
        said("dcos-node --json").contains("requires a subcommand"),
        "{}",
        said("dcos-node --json")
    );
    assert_eq!(failure("dcos-node status --onlin").cure, "a similar argument exists: '--online'");
    assert_eq!(
        failure("dcos-node adopt master").cure,
        "dcos-node COMMAND --help tells what it takes"
    );
    let json = |line: &str| parsed(line).expect_err(line).json;
    assert!(
        json("dcos-node status --nosuch --json")
            && json("dcos-node --json install foo")
            && json("dcos-node status --json --events -")
    );
    assert!(!json("dcos-node status --nosuch") && !json("dcos-node status --nosuch -- --json"));
}

#[test]
fn flags_of_the_classic_script_are_understood() {
    let Ok(Invocation { command: Command::Install(request, None), .. }) =
        parsed("dcos-node install -d --no-block-dcos-setup slave_public")
    else {
        panic!()
    };
    assert!(request.skip_all.is_some() && !request.follow && request.role == Role::SlavePublic);
    let Ok(Invocation { command: Command::Preflight { request, strict: false, .. }, .. }) =
        parsed("dcos-node install --preflight-only slave")
    else {
        panic!()
    };
    assert_eq!(request.role, Some(Role::Slave));
}

#[test]
fn durations_have_a_unit() {
    assert_eq!(
        ["30s", "15m", "1h", "0s"].map(|text| duration(text).map(|d| d.as_secs())),
        [Ok(30), Ok(900), Ok(3600), Ok(0)]
    );
}

#[test]
fn read_only_commands_must_not_write() {
    for line in [
        "preflight",
        "preflight master",
        "install master --dry-run",
        "install master -p",
        "uninstall --dry-run",
        "publish x --check",
    ] {
        assert!(parsed(&format!("dcos-node {line}")).is_ok_and(|i| i.must_not_write()), "{line}");
    }
    for line in
        ["install master", "install master -d", "uninstall", "recover", "publish x", "serve x"]
    {
        assert!(parsed(&format!("dcos-node {line}")).is_ok_and(|i| !i.must_not_write()), "{line}");
    }
}

#[test]
fn skips_variable_has_one_skip_per_line() {
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
    let mut command = definition();
    command.build();
    let texts = std::iter::once(command.clone())
        .chain(command.get_subcommands().cloned())
        .map(|mut c| c.render_long_help().to_string());
    for text in texts {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn drain_without_a_limit_gets_the_default_limit() {
    for (line, minutes) in [("--drain", Some(10)), ("--drain=1h", Some(60)), ("--strict", None)] {
        let Ok(Invocation { command: Command::Uninstall(request), .. }) =
            parsed(&format!("dcos-node uninstall {line}"))
        else {
            panic!("{line} is not understood");
        };
        assert_eq!(
            request.drain,
            minutes.map(|minutes| Duration::from_secs(minutes * 60)),
            "{line}"
        );
    }
}

#[test]
fn every_command_has_valid_examples_and_sorted_exit_codes() {
    let command = Typed::command();
    let names = command.get_subcommands().map(|subcommand| subcommand.get_name()).chain([""]);
    for name in names {
        let told = manual::told(name).unwrap_or_else(|| panic!("nothing is told of {name}"));
        assert!(!told.description.is_empty() && !told.examples.is_empty(), "{name}");
        let codes: Vec<u8> = told.exits.iter().map(|(exit, _)| exit.code()).collect();
        assert!(
            codes.is_sorted() && (name.is_empty() || codes.starts_with(&[0]) && codes.contains(&2)),
            "{name}: {codes:?}"
        );
        let ours = told
            .examples
            .iter()
            .filter_map(|(_, line)| line.trim_start_matches("sudo ").strip_prefix("dcos-node "));
        for line in ours {
            // As a shell has it: without what goes elsewhere, and a quoted word in one piece.
            let typed = line.split(['|', '>']).next().unwrap_or_default();
            let quoted = |(index, part): (usize, &str)| {
                if index % 2 == 1 { part.replace(' ', "_") } else { part.to_owned() }
            };
            let words: String = typed.split('\'').enumerate().map(quoted).collect();
            let parsed = parse(
                std::iter::once("dcos-node").chain(words.split_whitespace()).map(OsString::from),
            );
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
            assert!(
                name.is_empty() || line.starts_with(name) || name == "explain",
                "{name} has an example of another command: {line}"
            );
        }
    }
}

#[test]
fn options_are_listed_under_their_own_headings() {
    let mut command = definition();
    command.build();
    let install = command.find_subcommand("install").expect("install");
    let heading = |name: &str| {
        install
            .get_arguments()
            .find(|argument| argument.get_long() == Some(name))
            .and_then(|a| a.get_help_heading())
    };
    for (name, is) in [
        ("dry-run", None),
        ("restart-docker", None),
        ("splay", Some("Fetching")),
        ("wait", Some("Waiting")),
        ("disable-preflight", Some("As dcos_install.sh")),
        ("json", Some(GLOBAL)),
    ] {
        assert_eq!(heading(name), is, "{name}");
    }
}

#[test]
fn flag_variable_accepts_common_words_and_ignores_empty() {
    let words = |words: [&'static str; 6], is: bool| words.map(|word| (word, is));
    let all = [
        words(["1", "true", "yes", "on", "YES", "True"], true),
        words(["0", "false", "no", "off", "No", ""], false),
    ]
    .concat();
    for (word, is) in all {
        for line in
            ["dcos-node install master", "dcos-node --root / install master", "dcos-node serve x"]
        {
            let set = ["JSON", "QUIET", "NO_COLOR"].map(|name| format!("DCOS_NODE_{name}"));
            let set: Vec<(&str, &str)> = set.iter().map(|name| (name.as_str(), word)).collect();
            let printing = printing_with(&set, line);
            assert_eq!(
                [printing.json, printing.quiet, printing.no_color],
                [is; 3],
                "{word} {line}"
            );
        }
        let set = ["DRY_RUN", "PURGE_DATA", "STRICT", "FORCE", "YES"]
            .map(|name| format!("DCOS_NODE_{name}"));
        let set: Vec<(&str, &str)> = set.iter().map(|name| (name.as_str(), word)).collect();
        let Ok(Invocation { command: Command::Uninstall(request), .. }) =
            parsed_with(&set, "dcos-node uninstall")
        else {
            panic!("{word}")
        };
        assert_eq!(
            [request.dry_run, request.purge_data, request.strict, request.force, request.yes],
            [is; 5],
            "{word}"
        );
        let verbose = printing_with(&[("DCOS_NODE_VERBOSE", word)], "dcos-node adopt").verbose;
        assert_eq!(verbose, u8::from(is), "{word}");
    }
    assert_eq!(printing_with(&[("DCOS_NODE_VERBOSE", "2")], "dcos-node adopt").verbose, 2);
    // Nor are those of options with a value.
    let empty: Vec<String> = definition()
        .get_subcommands()
        .flat_map(|subcommand| {
            subcommand
                .get_arguments()
                .filter_map(|option| Some(option.get_env()?.to_str()?.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    let empty: Vec<(&str, &str)> = empty.iter().map(|name| (name.as_str(), "")).collect();
    for line in
        ["install master", "fetch", "preflight", "uninstall", "status", "publish x", "serve x"]
    {
        let line = format!("dcos-node {line}");
        let (with, without) =
            (parsed_with(&empty, &line).unwrap(), parsed_with(&[], &line).unwrap());
        assert_eq!(format!("{with:?}"), format!("{without:?}"));
    }
}

#[test]
fn invalid_environment_variable_is_named() {
    for (variable, value, line) in [
        ("DCOS_NODE_JSON", "maybe", "status"),
        ("DCOS_NODE_DRY_RUN", "2", "uninstall"),
        ("DCOS_NODE_VERBOSE", "much", "status"),
        ("DCOS_NODE_WAIT", "1", "status"),
        ("DCOS_NODE_PARALLEL", "none", "install master -d"),
        ("DCOS_NODE_LOG_FORMAT", "xml", "serve x"),
    ] {
        let refused =
            parsed_with(&[(variable, value)], &format!("dcos-node {line}")).expect_err(variable);
        assert!(
            refused.is_error && refused.text.contains(variable) && refused.text.contains(value),
            "{}",
            refused.text
        );
    }
    let both = parsed_with(
        &[("DCOS_NODE_CHECK", "1"), ("DCOS_NODE_RECOMPRESS", "zstd")],
        "dcos-node publish x",
    )
    .expect_err("both")
    .text;
    assert!(
        both.contains(
            "\n\n  tip: the environment has DCOS_NODE_CHECK and DCOS_NODE_RECOMPRESS\n\n"
        ),
        "{both}"
    );
    let both =
        parsed_with(&[("DCOS_NODE_JSON", "1"), ("DCOS_NODE_EVENTS", "-")], "dcos-node status")
            .expect_err("both")
            .text;
    assert!(
        both.ends_with("\n\n  tip: the environment has DCOS_NODE_JSON and DCOS_NODE_EVENTS\n"),
        "{both}"
    );
    // One of another command says nothing here.
    assert!(parsed_with(&[("DCOS_NODE_PARALLEL", "none")], "dcos-node status").is_ok());
}

#[test]
fn command_line_option_overrides_environment() {
    let verbose = [("DCOS_NODE_VERBOSE", "1")];
    for line in ["dcos-node -q adopt", "dcos-node adopt -q"] {
        assert!(
            matches!(printing_with(&verbose, line), Printing { quiet: true, verbose: 0, .. }),
            "{line}"
        );
    }
    assert!(matches!(
        printing_with(&[("DCOS_NODE_QUIET", "1")], "dcos-node adopt -vv"),
        Printing { quiet: false, verbose: 2, .. }
    ));
    for line in ["dcos-node --json status", "dcos-node status --json"] {
        assert!(
            matches!(
                printing_with(&[("DCOS_NODE_EVENTS", "-")], line),
                Printing { json: true, events: None, .. }
            ),
            "{line}"
        );
    }
    let printing = printing_with(&[("DCOS_NODE_EVENTS", "/e")], "dcos-node status --json");
    assert!(printing.json && printing.events.as_deref() == Some("/e"));
    let printing = printing_with(&[("DCOS_NODE_JSON", "1")], "dcos-node status --events -");
    assert!(!printing.json && printing.events.as_deref() == Some("-"));
    let Ok(Invocation { command: Command::Publish(request), .. }) = parsed_with(
        &[("DCOS_NODE_RECOMPRESS", "zstd"), ("DCOS_NODE_BINARY", "b")],
        "dcos-node publish x --check",
    ) else {
        panic!()
    };
    assert!(request.check && !request.recompress && request.binary.is_none());
    let skipping = parsed_with(&[("DCOS_NODE_PREFLIGHT_ONLY", "1")], "dcos-node install slave -d");
    assert!(matches!(skipping, Ok(Invocation { command: Command::Install(..), .. })));
    let values = [
        ("DCOS_NODE_ROOT", "/env"),
        ("DCOS_NODE_WAIT", "started"),
        ("DCOS_NODE_SKIP", "time.sync=env"),
    ];
    let Ok(Invocation { command: Command::Install(request, Some(wish)), root, .. }) =
        parsed_with(&values, "dcos-node install slave --wait --skip time.sync=typed")
    else {
        panic!()
    };
    assert!(
        root.as_os_str() == "/env"
            && wish.level == Level::NodeReady
            && request.skip == [("time.sync".to_owned(), "typed".to_owned())]
    );
    assert!(parsed_with(&values, "dcos-node status --wait-timeout=5s").is_ok());
    let install = |set: &[(&str, &str)], line: &str| match parsed_with(
        set,
        &format!("dcos-node install slave {line}"),
    ) {
        Ok(Invocation { command: Command::Install(request, wish), .. }) => {
            (request.start, wish.map(|wish| wish.level))
        }
        other => panic!("{set:?} {line}: {other:?}"),
    };
    assert_eq!(install(&[("DCOS_NODE_WAIT", "cluster-ready")], "--no-start"), (false, None));
    assert_eq!(
        install(&[("DCOS_NODE_WAIT", "unpacked")], "--no-start"),
        (false, Some(Level::Unpacked))
    );
    assert_eq!(install(&[("DCOS_NODE_NO_START", "on")], "--wait"), (true, Some(Level::NodeReady)));
    assert_eq!(
        install(&[("DCOS_NODE_NO_START", "on")], "--wait=unpacked"),
        (false, Some(Level::Unpacked))
    );
    // A variable is no way around what is refused of words that were typed.
    assert!(parsed_with(&[], "dcos-node -q -v adopt").is_err());
}
