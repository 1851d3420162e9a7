//! The terminal prints what the events say, line by line.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::event::Event;
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::role::Role;
use support::build::{Build, Damage};

use super::{command, install, lines_of, told};

#[test]
fn replayed_install_events_print_the_same_lines() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    Build::tiny().pack(build.path());
    let output = install(root.path(), build.path(), file.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let events = told(file.path());
    assert!(said.lines().count() > 4, "{said}");
    assert_eq!(lines_of(&events), said);

    let Some(Event::Started { command, role, .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!((command.as_str(), *role), ("install", Some(Role::Master)));
    assert!(
        matches!(events.last(), Some(Event::Ended { exit: Exit::Done, code: 0, error: None, .. })),
        "{:?}",
        events.last()
    );
    let begun: Vec<&ActionKey> = events
        .iter()
        .filter_map(|event| if let Event::Begun { key, .. } = event { Some(key) } else { None })
        .collect();
    let done: Vec<&ActionKey> = events
        .iter()
        .filter_map(|event| if let Event::Done { key } = event { Some(key) } else { None })
        .collect();
    assert_eq!(
        begun.iter().collect::<BTreeSet<_>>(),
        done.iter().collect::<BTreeSet<_>>(),
        "what begins is done"
    );
    let planned = events.iter().filter_map(|event| {
        if let Event::Planned { actions } = event { Some(actions) } else { None }
    });
    let planned: BTreeSet<&ActionKey> = planned.flatten().map(|action| &action.key).collect();
    assert!(
        begun.iter().all(|key| planned.contains(key)),
        "{begun:?} were not all planned: {planned:?}"
    );
}

#[test]
fn failure_events_have_the_text_of_the_terminal() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    let packed = Build::tiny().damaged("units", Damage::BitFlip).pack(build.path());
    let output = install(root.path(), build.path(), file.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    let events = told(file.path());
    let lines = lines_of(&events);
    let failure = said
        .strip_prefix(&lines)
        .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{said}"));
    let key = ActionKey::Package(packed.id("units").parse().unwrap());
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Failed { key: failed, .. } if *failed == key)),
        "{events:?}"
    );
    assert!(events.iter().any(|event| matches!(event, Event::Undone { .. })), "{events:?}");
    let Some(Event::Ended {
        exit: Exit::Integrity,
        code: 6,
        error: Some(error),
        state: Some(state),
        cure: Some(cure),
        help: Some(help),
        ..
    }) = events.last()
    else {
        panic!("{:?}", events.last())
    };
    assert!(
        failure.contains(state) && failure.contains(cure) && failure.contains(help),
        "{state}, {cure}, {help}: {failure}"
    );
    assert!(failure.contains(error.split(": ").next().unwrap()), "{error}: {failure}");
}

/// A run whose events, told to people, are what it said; what it said besides is returned.
#[track_caller]
fn agrees(command: &mut Command, events: &Path, code: i32) -> (Vec<Event>, String) {
    fs::write(events, "").unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    let events = told(events);
    let lines = lines_of(&events);
    let rest = said
        .strip_prefix(&lines)
        .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{said}"));
    assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
    assert!(
        matches!(events.last(), Some(Event::Ended { code: told, .. }) if i32::from(*told) == code),
        "{events:?}"
    );
    (events, rest.to_owned())
}

#[test]
fn replayed_recover_wait_and_uninstall_print_the_same_lines() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    Build::tiny().pack(build.path());
    fs::set_permissions(build.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (root, file, url) = (root.path(), file.path(), build.path().to_str().unwrap());
    let mut killed = command(&["install", "master", "-d", "--bootstrap-url", url], root, file);
    let etc = root.join("opt/mesosphere/etc").display().to_string();
    killed
        .env("DCOS_NODE_FAULT", format!("kill Rename 1 {etc}.new -> {etc}"))
        .env("DCOS_NODE_FAULT_WORKERS", "1");
    assert_eq!(killed.output().unwrap().status.code(), None, "it was not killed");
    // Whole lines, however it ended.
    assert!(told(file).iter().any(|event| matches!(event, Event::Done { .. })));

    let (events, rest) = agrees(&mut command(&["recover"], root, file), file, 0);
    assert!(rest.is_empty(), "{rest}");
    assert!(events.iter().any(|event| matches!(event, Event::Begun { .. })), "{events:?}");

    let mut wait = command(&["status", "--wait=started", "--wait-timeout=1s"], root, file);
    let (events, rest) = agrees(wait.env("DCOS_NODE_FAULT_SYSTEMD", "1"), file, 7);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Watched(watched) if watched.waits_for.is_some())),
        "{events:?}"
    );
    assert!(rest.contains("not started after 1 s") && rest.contains("help:"), "{rest}");

    let (events, rest) = agrees(&mut command(&["uninstall"], root, file), file, 0);
    assert!(rest.is_empty(), "{rest}");
    assert!(events.iter().any(|event| matches!(event, Event::Undone { .. })), "{events:?}");
}
