//! Copies units to where systemd looks, and makes the target want them.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Site;
use super::place::{directory_objects, file_objects, make_parents};
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Object};
use crate::system::files::{self, FileKind, Stat};

/// Longest unit file; systemd itself refuses longer lines than 1 MiB.
const LONGEST: u64 = 4 << 20;

pub(crate) fn objects(site: &Site, units: &[(String, PathBuf)]) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, Path::new(layout::TARGET_WANTS).join("x").as_path());
    for (name, source) in units {
        let (content, _) = unit_file(site, source)?;
        objects.extend(file_objects(site, &layout::unit(name), &content)?);
        objects.push(Object::Link {
            path: layout::wants(name),
            target: layout::unit(name),
            before: Before::Absent,
        });
    }
    objects.push(Object::Units { names: units.iter().map(|(name, _)| name.clone()).collect() });
    Ok(objects)
}

/// A unit that is a link inside its package is copied as the file it points to, with that file's
/// mode, as pkgpanda does.
fn unit_file(site: &Site, source: &Path) -> anyhow::Result<(Vec<u8>, u32)> {
    let real = site.root.resolved(source);
    let content = files::read(&real, LONGEST)?
        .with_context(|| format!("{} is not there", source.display()))?;
    match files::lstat(&real)? {
        Some(Stat { kind: FileKind::File, mode, .. }) => Ok((content, mode)),
        _ => anyhow::bail!("{} is not a file", source.display()),
    }
}

pub(crate) async fn place(site: &Site, units: Vec<(String, PathBuf)>) -> anyhow::Result<()> {
    let names: Vec<String> = units.iter().map(|(name, _)| name.clone()).collect();
    site.blocking(move |site| {
        for (name, source) in &units {
            let (content, mode) = unit_file(site, source)?;
            super::place::file(site, &layout::unit(name), mode, &content)?;
        }
        make_parents(site, &layout::wants("x"))
    })
    .await?;
    match &site.systemd {
        Some(systemd) if !names.is_empty() => {
            drop(systemd.add_wants(layout::TARGET, &names).await?)
        }
        Some(_) => {}
        None => {
            for name in &names {
                files::place_link(&site.root.at(layout::wants(name)), &layout::unit(name))?;
            }
        }
    }
    // systemd makes the links but does not make them durable.
    site.blocking(|site| {
        let wants = site.root.resolved(layout::TARGET_WANTS);
        site.label(&[&wants]);
        Ok(files::sync_directory(&wants)?)
    })
    .await
}
