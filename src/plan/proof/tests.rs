use super::*;
use crate::dcos::network::Unseen;

/// Judges a node where nothing else is wrong.
fn report(
    before: &Snapshot,
    now: &Snapshot,
    undone: &[Object],
    refused: &[(Object, String)],
    units: Result<Vec<Alive>, String>,
) -> (Leftovers, Vec<Object>) {
    let found = Found { unknown: vec!["files in /srv".into()], ..Found::default() };
    let evidence = Evidence {
        before: Some(before),
        now,
        signs: &Signs::default(),
        undone,
        refused,
        remnants: &[],
        units: &units,
        found: &found,
        data: &[],
        stores: &[],
    };
    judge(&evidence)
}

fn judged(
    before: &Snapshot,
    now: &Snapshot,
    undone: &[Object],
    units: Result<Vec<Alive>, String>,
) -> (Vec<String>, Vec<Object>) {
    let (report, once_more) = report(before, now, undone, &[], units);
    (report.open().map(|item| item.what.clone()).collect(), once_more)
}

#[test]
fn unreadable_object_leaves_the_verification_unknown() {
    let now = Snapshot {
        live: true,
        unknown: vec!["the rules: iptables failed".into(), "the sets: ipset failed".into()],
        ..Snapshot::default()
    };
    let before = Snapshot {
        live: true,
        unknown: vec!["the sets: ipset failed".into()],
        ..Snapshot::default()
    };
    let open = |now: &Snapshot, units| judged(&before, now, &[], units).0;
    assert_eq!(open(&now, Ok(Vec::new())), ["the rules: iptables failed"]);
    assert_eq!(open(&before, Err("no answer".into())), ["the units in systemd's memory"]);
    assert_eq!(open(&before, Ok(Vec::new())), Vec::<String>::new());
    // What no program shows was not looked at this time either, and no other try would.
    let mut hidden = before.clone();
    hidden.network.unseen =
        vec![Unseen { program: "iptables-legacy".into(), tables: vec!["nat".into()] }];
    assert_eq!(open(&hidden, Ok(Vec::new())), Vec::<String>::new());
}

#[test]
fn running_unit_is_residue_that_the_next_try_stops() {
    let units = |names: &[&str]| Object::Units {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let alive = |name: &str| Alive { name: name.to_owned(), active: "active".to_owned() };
    let now = Snapshot { live: true, ..Snapshot::default() };
    let left = || Ok(vec![alive("dcos-net.service"), alive("dcos-mesos-slave.service")]);
    let open = ["dcos-net.service (active)", "dcos-mesos-slave.service (active)"]
        .map(str::to_owned)
        .to_vec();
    let known = [units(&["dcos-net.service"])];
    assert_eq!(
        judged(&now, &now, &known, left()),
        (open.clone(), vec![units(&["dcos-net.service", "dcos-mesos-slave.service"])])
    );
    assert_eq!(
        judged(&now, &now, &[], left()),
        (open, vec![units(&["dcos-net.service", "dcos-mesos-slave.service"])])
    );
    assert_eq!(judged(&now, &now, &[], Ok(Vec::new())), (Vec::new(), Vec::new()));
}

#[test]
fn directory_that_is_left_takes_its_parents_along_later() {
    let directory = |path: &str| Object::Directory { path: path.into() };
    let remnant = |path: &str, why: &str, on_purpose| Remnant {
        object: directory(path),
        why: why.to_owned(),
        on_purpose,
    };
    let again = |remnants: &[Remnant]| {
        let (snapshot, found) = (Snapshot::default(), Found::default());
        let undone: Vec<Object> = remnants.iter().map(|r| r.object.clone()).collect();
        let (_, once_more) = judge(&Evidence {
            before: Some(&snapshot),
            now: &snapshot,
            signs: &Signs::default(),
            undone: &undone,
            refused: &[],
            remnants,
            units: &Ok(Vec::new()),
            found: &found,
            data: &[],
            stores: &[],
        });
        once_more
    };
    let parent = remnant("/etc/mesosphere", "it holds what stays", true);
    let left = remnant("/etc/mesosphere/roles", "it is empty and still there", false);
    assert_eq!(again(&[left.clone(), parent.clone()]), [left.object, parent.object.clone()]);
    assert_eq!(again(&[parent]), [], "an operator's file is in it");
}

#[test]
fn unremovable_object_is_residue_without_its_evidence() {
    let (before, mut now) = (
        Snapshot { live: true, ..Snapshot::default() },
        Snapshot { live: true, ..Snapshot::default() },
    );
    now.network.sets = vec!["overlay".into()];
    let undone =
        [Object::IpSet { name: "overlay".into() }, Object::Interface { name: "d-dcos".into() }];
    let refused = [(undone[0].clone(), "it is in use".to_owned())];
    let judged = |now: &Snapshot| report(&before, now, &undone, &refused, Ok(Vec::new())).0;
    let what = |items: &[Item]| items.iter().map(|item| item.what.clone()).collect::<Vec<_>>();
    let told = judged(&now);
    assert_eq!(
        (what(&told.residue), what(&told.removed)),
        (vec!["the ipset overlay".into()], vec!["the interface d-dcos".into()])
    );
    // Told once; and docker would make the bridge again.
    assert_eq!(
        (what(&told.foreign), told.afterwards.len()),
        (vec!["docker's networks dcos".to_owned()], 1)
    );
    assert!(told.afterwards[0].contains("docker network rm dcos"), "{:?}", told.afterwards);
    now.network.sets.clear();
    assert_eq!((judged(&now).residue, judged(&now).removed.len()), (Vec::new(), 2));
}
