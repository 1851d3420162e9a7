//! Our own traces on the node: the receipt, and their removal in an order that leaves last whatever
//! a retry needs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Site;
use super::journal::Journal;
use crate::dcos::action_key::ActionKey;
use crate::dcos::journal::{Intent, Record};
use crate::dcos::receipt::{Manifest, Object, Receipt};
use crate::dcos::{layout, moment};
use crate::system::files::{self, FileKind};
use crate::system::mount_points;

pub(crate) fn write_receipt(site: &Site, receipt: &Receipt) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(receipt)?;
    text.push(b'\n');
    Ok(files::place(&site.root.at(layout::RECEIPT), &text, 0o600, site.root_owner())?)
}

/// Writes the manifest of a package that stands already.
pub(crate) fn write_manifest(site: &Site, manifest: &Manifest) -> anyhow::Result<()> {
    files::make_directories(&site.root.at(layout::MANIFESTS), 0o700)?;
    Ok(files::place(
        &site.root.at(layout::manifest(&manifest.id)),
        &serde_json::to_vec(manifest)?,
        0o600,
        site.root_owner(),
    )?)
}

/// Receipt, manifests, journal, link, unit, binary, and the directories that were made for them.
/// What is left when this is killed is found and removed by the next uninstall.
pub(crate) async fn remove(
    site: &Site,
    journal: &Journal,
    mut directories: Vec<PathBuf>,
) -> anyhow::Result<()> {
    journal.close();
    directories.sort_by_key(|path| path.components().count());
    site.blocking(move |site| {
        remove_files(site, &directories).inspect_err(|_| {
            // Nobody else knows whose the directories are.
            let _ = remember(site, directories);
        })
    })
    .await?;
    if let Some(systemd) = &site.systemd {
        systemd.reload().await?;
        // A failed recover of the past would stay in systemd's list of failed units.
        let unit = Path::new(layout::SETUP_UNIT).file_name().unwrap_or_default().to_string_lossy();
        systemd.reset_failed(&unit).await?;
    }
    Ok(())
}

fn remove_files(site: &Site, directories: &[PathBuf]) -> anyhow::Result<()> {
    let at = |path: &str| site.root.at(path);
    files::remove_file(&at(layout::RECEIPT))?;
    files::remove_tree(&at(layout::MANIFESTS))?;
    if at(layout::OUR_STATE).is_dir() {
        files::sync_directory(&at(layout::OUR_STATE))?;
    }
    files::remove_tree(&at(layout::OUR_STATE))?;
    // The classic installer has a unit of the same name, which is not ours to remove.
    let unit = site.root.read(layout::SETUP_UNIT, 1 << 20)?;
    let is_ours =
        unit.is_none_or(|text| String::from_utf8_lossy(&text).contains(layout::OUR_BINARY));
    for path in [layout::SETUP_LINK, layout::SETUP_UNIT].into_iter().filter(|_| is_ours) {
        // A kill may have left what was to take this name.
        files::remove_staging(&at(path))?;
        files::remove_file(&at(path))?;
        if let Some(parent) = at(path).parent().filter(|p| p.exists()) {
            files::sync_directory(parent)?;
        }
    }
    files::remove_tree(&at(layout::OUR_OPT))?;
    for directory in directories.iter().rev().map(|path| site.root.at(path)) {
        let is_gone = files::remove_empty_directory(&directory)?;
        anyhow::ensure!(
            is_gone || !is_left_over(&directory)?,
            "{} is empty and cannot be removed: something uses it",
            directory.display()
        );
    }
    Ok(())
}

/// Whether nothing is in a directory, and it could be removed.
fn is_left_over(directory: &Path) -> anyhow::Result<bool> {
    let is_empty = matches!(files::file_kind(directory)?, Some(FileKind::Directory))
        && files::names(directory)?.is_none_or(|names| names.is_empty());
    if !is_empty {
        return Ok(false);
    }
    let points = mount_points::all_at_or_below(directory)?;
    Ok(!mount_points::real(directory).is_some_and(|real| points.contains(&real)))
}

/// Writes down again which directories are left to remove, if the journal that knew it is gone.
fn remember(site: &Site, directories: Vec<PathBuf>) -> anyhow::Result<()> {
    if files::exists(&site.root.at(layout::JOURNAL)) {
        return Ok(());
    }
    let journal = Journal::open(&site.root)?;
    let objects = directories.into_iter().map(|path| Object::Directory { path });
    journal.begin(ActionKey::Inventory, objects.collect())?;
    let intent = Intent::Uninstall { purge_data: false, keep_packages: false };
    journal.append(Record::Asked { at: moment::rfc3339(SystemTime::now()), intent })
}
