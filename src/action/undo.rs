//! Makes one object as it was before us. Undoing again is always safe.

use super::{Site, account, aside, resolv_conf};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files::{self, Standing};

pub(crate) async fn undo(site: &Site, object: &Object) -> anyhow::Result<()> {
    match object.clone() {
        Object::Account { account, user_made, group_made } => account::remove(site, &account, user_made, group_made).await,
        Object::Units { names } => {
            if let Some(systemd) = &site.systemd {
                systemd.reload().await?;
                for name in names.iter().map(String::as_str).chain([layout::TARGET]) {
                    systemd.reset_failed(name).await?;
                }
            }
            Ok(())
        }
        other => site.blocking(move |site| undo_files(site, &other)).await,
    }
}

fn undo_files(site: &Site, object: &Object) -> anyhow::Result<()> {
    match object {
        Object::Directory { path } => {
            files::remove_empty_directory(&site.root.at(path))?;
        }
        Object::File { path, before, .. } => resolv_conf::restore_path(site, path, before)?,
        Object::Link { path, target, before } => {
            files::remove_staging(&site.root.at(path))?;
            let ours = matches!(files::standing(&site.root.at(path))?, Some(Standing::Link { target: now }) if now == *target);
            if ours {
                resolv_conf::restore_path(site, path, before)?;
            }
        }
        Object::Package { id } => {
            files::remove_tree(&site.root.at(layout::package(id)))?;
            files::remove_tree(&site.root.at(layout::staging(id)))?;
            let manifest = site.root.at(layout::manifest(id));
            files::remove_file(&manifest)?;
            if let Some(manifests) = manifest.parent().filter(|p| p.is_dir()) {
                files::sync_directory(manifests)?;
            }
        }
        Object::ActiveName { name, .. } => {
            for path in [layout::active_name(name), layout::new_name(name)] {
                files::remove_tree(&site.root.at(&path))?;
                files::remove_staging(&site.root.at(&path))?;
            }
        }
        Object::StateDirectory { path, .. } | Object::Scratch { path } => files::remove_tree(&site.root.at(path))?,
        Object::Aside { path, aside } => aside::put_back(site, path, aside)?,
        Object::ResolvConf { before } => resolv_conf::restore(site, before)?,
        Object::Account { .. } | Object::Units { .. } => {}
    }
    Ok(())
}
