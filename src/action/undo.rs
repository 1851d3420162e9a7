//! Makes one object as it was before us. Undoing again is always safe.

use std::path::Path;

use super::{
    Site, account, account_files, aside, edited, executors, fetch, firewall, mesos_mounts, network,
    network_files, repository, resolv_conf, sysctl,
};
use crate::dcos::receipt::Object;
use crate::dcos::{data, layout};
use crate::system::files::{self, FileKind};
use crate::system::mount_points;

pub(crate) async fn undo(site: &Site, object: &Object) -> anyhow::Result<()> {
    // A directory has no network; this machine's is another node's.
    if object.is_of_machine() && !site.root.is_live() {
        return Ok(());
    }
    match object.clone() {
        Object::Account { account, user_made, group_made, group_before } => {
            account::remove(
                site,
                &account,
                account::Made { user: user_made, group: group_made, group_before },
            )
            .await
        }
        Object::Units { names } => {
            if let Some(systemd) = &site.systemd {
                systemd.reload().await?;
                for name in names.iter().map(String::as_str).chain([layout::TARGET]) {
                    systemd.reset_failed(name).await?;
                }
            }
            Ok(())
        }
        Object::Environment { name, before } => match (&site.systemd, before) {
            (Some(systemd), Some(value)) => {
                Ok(systemd.set_environment(&[format!("{name}={value}")]).await?)
            }
            (Some(systemd), None) => Ok(systemd.unset_environment(&[name]).await?),
            (None, _) => Ok(()),
        },
        Object::Scratch { path } if network_files::is_one(&path) => {
            network_files::remove(site, &path).await
        }
        Object::Scratch { path } if path == Path::new(layout::EXECUTORS_SLICE) => {
            executors::remove(site, &path).await
        }
        Object::Mount { path } => {
            site.blocking(move |site| mesos_mounts::unmount(site, &path)).await
        }
        Object::IpSet { name } => firewall::remove_set(site, &name).await,
        Object::FirewallChain { program, table, chain } => {
            firewall::remove_chain(site, &program, &table, &chain).await
        }
        Object::FirewallRule { program, table, rule } => {
            firewall::remove_rule(site, &program, &table, &rule).await
        }
        Object::Interface { .. }
        | Object::Address { .. }
        | Object::RoutingRule { .. }
        | Object::Route { .. }
        | Object::IpvsService { .. } => {
            let object = object.clone();
            site.blocking(move |_| network::remove(&object)).await
        }
        Object::Sysctl { name, before } => {
            site.blocking(move |site| sysctl::put_back(site, &name, &before)).await
        }
        other => site.blocking(move |site| undo_files(site, &other)).await,
    }
}

/// Whether a link at the place of a unit, or by which the target wants one, is as pkgpanda makes
/// it: into a package (1.10), or to the copy (later releases). Its activation may have given the
/// unit another form than ours had.
fn is_pkgpandas(site: &Site, path: &Path, target: &Path) -> bool {
    // `/opt/mesosphere` may be a link itself, and pkgpanda writes what is at its end.
    let real = site.root.as_seen(&site.root.resolved(layout::REPOSITORY));
    let copy = path.file_name().map(|name| Path::new(layout::SYSTEM_UNITS).join(name));
    path.starts_with(layout::SYSTEM_UNITS)
        && (target.starts_with(layout::REPOSITORY) || target.starts_with(real))
        || path.starts_with(layout::TARGET_WANTS) && copy.is_some_and(|copy| copy == target)
}

fn undo_files(site: &Site, object: &Object) -> anyhow::Result<()> {
    match object {
        Object::Directory { path } => {
            files::remove_empty_directory(&site.root.at(path))?;
        }
        Object::File { path, .. } if path == Path::new(layout::ACCOUNT_LOCK) => {
            account_files::remove_lock(site)?
        }
        Object::AccountFile { path, sha256, had_backup } => {
            account_files::restore(site, path, sha256, *had_backup)?
        }
        Object::File { path, sha256, before } => {
            // A link is nobody's but who made it, as that which masks a unit, and so is a
            // directory; what was a link before us is put back already.
            match files::file_kind(&site.root.at(path))? {
                None | Some(FileKind::File) => {
                    edited::keep(site, path, sha256, before)?;
                    resolv_conf::restore_path(site, path, before)?;
                }
                Some(FileKind::Link { target }) if is_pkgpandas(site, path, &target) => {
                    resolv_conf::restore_path(site, path, before)?
                }
                Some(_) => edited::keep_older(site, path, before)?,
            }
        }
        Object::Link { path, target, before } => match files::file_kind(&site.root.at(path))? {
            Some(FileKind::Link { target: now })
                if now == *target || is_pkgpandas(site, path, &now) =>
            {
                resolv_conf::restore_path(site, path, before)?
            }
            None => resolv_conf::restore_path(site, path, before)?,
            Some(_) => edited::keep_older(site, path, before)?,
        },
        Object::Package { id } => {
            fetch::remove(&site.root, id)?;
            repository::remove_empty_stores(site)?;
        }
        Object::ActiveName { name, .. } => {
            for path in [layout::active_name(name), layout::new_name(name)] {
                files::remove_tree(&site.root.at(&path))?;
                files::remove_staging(&site.root.at(&path))?;
            }
        }
        Object::StateDirectory { path, made } => {
            // A place of data, or a part of one, may be a file system of its own, and one that was
            // there before us is no more than emptied.
            let mounted = mount_points::all_at_or_below(&site.root.at(path))?;
            let places = data::PLACES.iter().map(|place| site.root.at(place.path));
            let mut staying: Vec<_> = places
                .filter(|place| {
                    mount_points::real(place).is_some_and(|real| mounted.contains(&real))
                })
                .collect();
            staying.extend((!made).then(|| site.root.at(path)));
            files::purge(&site.root.at(path), &staying)?;
        }
        Object::Scratch { path } => files::remove_tree(&site.root.at(path))?,
        Object::Aside { path, aside } => aside::put_back(site, path, aside)?,
        Object::ResolvConf { before } => resolv_conf::restore(site, before)?,
        // Of the running machine, above.
        _ => {}
    }
    Ok(())
}
