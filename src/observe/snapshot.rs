//! A node as far as DC/OS changes it, looked at as a whole: before an install, and after an
//! uninstall.

use std::path::{Path, PathBuf};

use crate::dcos::accounts::Accounts;
use crate::dcos::layout;
use crate::dcos::network::{CONF, MODULES, NODENAME, RP_FILTER, SETTINGS};
use crate::dcos::snapshot::Snapshot;
use crate::observe::mesos_mounts;
use crate::system::root::Root;
use crate::system::systemd::Systemd;
use crate::system::{files, mounts, sysctl};

/// Looks at the files, and, where the node is this machine, at the machine. What cannot be looked
/// at is told in words.
pub async fn look(root: &Root, systemd: Option<&dyn Systemd>) -> Snapshot {
    let here = root.clone();
    let mut snapshot = tokio::task::spawn_blocking(move || {
        let mut snapshot = of_files(&here);
        if here.is_live() {
            of_kernel(&mut snapshot, &here.at(layout::PROC));
        }
        snapshot
    })
    .await
    .unwrap_or_default();
    if let Some(systemd) = systemd.filter(|_| root.is_live()) {
        snapshot.live = true;
        let (network, unknown) = super::network::look(root).await;
        snapshot.network = network;
        snapshot.unknown.extend(unknown);
        match systemd.environment().await {
            Ok(all) => {
                let named = |variable: &String| {
                    variable.split_once('=').is_some_and(|(name, _)| name == NODENAME)
                };
                snapshot.environment = all.into_iter().filter(named).collect();
            }
            Err(error) => snapshot.unknown.push(format!("systemd's environment: {error}")),
        }
    }
    snapshot
}

fn of_files(root: &Root) -> Snapshot {
    let names = |directory: &str| -> Vec<String> {
        root.names(directory).unwrap_or_default().into_iter().filter(|name| is_unit(name)).collect()
    };
    let accounts = Accounts::load(|path| root.text(path)).unwrap_or_default();
    let (left, empty) = super::data::left_and_empty(root);
    Snapshot {
        left,
        empty,
        paths: layout::WATCHED
            .iter()
            .map(PathBuf::from)
            .filter(|path| files::exists(&root.at(path)))
            .collect(),
        units: names(layout::SYSTEM_UNITS),
        enabled: [layout::BOOT_WANTS, layout::TARGET_WANTS]
            .iter()
            .flat_map(|directory| names(directory))
            .collect(),
        users: of_dcos(accounts.users()),
        groups: of_dcos(accounts.groups()),
        ..Snapshot::default()
    }
}

fn is_unit(name: &str) -> bool {
    name.starts_with("dcos-") || name == layout::TARGET
}

/// Names of DC/OS (`pkgpanda/__init__.py`: all begin so).
fn of_dcos<'a>(names: impl Iterator<Item = (&'a str, u32)>) -> Vec<String> {
    names.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("dcos_")).collect()
}

fn of_kernel(snapshot: &mut Snapshot, proc: &Path) {
    let interfaces = sysctl::names(proc, CONF)
        .into_iter()
        .map(|interface| format!("{CONF}{interface}{RP_FILTER}"));
    for name in SETTINGS.iter().map(|name| (*name).to_owned()).chain(interfaces) {
        match sysctl::read(proc, &name) {
            Ok(Some(value)) => drop(snapshot.sysctls.insert(name, value)),
            Ok(None) => {}
            Err(error) => snapshot.unknown.push(super::told(&error)),
        }
    }
    match mounts::all(proc) {
        Ok(all) => {
            // docker mounts and unmounts all the time.
            let places = || {
                layout::WATCHED.iter().filter(|place| {
                    **place != layout::DOCKER_STATE && !place.starts_with(layout::DOCKER_RUN)
                })
            };
            let ours = |point: &Path| places().any(|place| point.starts_with(place));
            snapshot.mesos_mounts = mesos_mounts::points(&all);
            let own = &snapshot.mesos_mounts;
            snapshot.mounts = all
                .into_iter()
                .map(|mount| mount.point)
                .filter(|point| ours(point) && !own.contains(point))
                .collect();
        }
        Err(error) => snapshot.unknown.push(super::told(&error)),
    }
    let loaded = files::read(&proc.join("modules"), 16 << 20).ok().flatten().unwrap_or_default();
    let loaded = String::from_utf8_lossy(&loaded).into_owned();
    let loaded: Vec<&str> = loaded.lines().filter_map(|line| line.split(' ').next()).collect();
    snapshot.modules = MODULES
        .iter()
        .filter(|module| loaded.contains(module))
        .map(|module| (*module).to_owned())
        .collect();
}
