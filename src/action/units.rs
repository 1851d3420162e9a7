//! Puts units where systemd looks, and makes the target want them.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Site;
use super::place::{self, directory_objects, file_objects, link_objects, make_parents};
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Object};
use crate::dcos::units::{self, UnitForm};
use crate::system::files::{self, FileKind, Stat};
use crate::system::root::Root;

/// Longest unit file; systemd itself refuses longer lines than 1 MiB.
const LONGEST: u64 = 4 << 20;

pub(crate) fn objects(
    site: &Site,
    units: &[(String, PathBuf)],
    form: UnitForm,
) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, Path::new(layout::TARGET_WANTS).join("x").as_path());
    for (name, source) in units {
        let (content, _) = unit_file(site, source)?;
        let target = match form {
            UnitForm::Copied => {
                objects.extend(file_objects(site, &layout::unit(name), &content)?);
                layout::unit(name)
            }
            UnitForm::Linked => {
                let file = linked_file(&site.root, source);
                objects.extend(link_objects(site, &layout::unit(name), &file)?);
                source.clone()
            }
        };
        objects.push(Object::Link { path: layout::wants(name), target, before: Before::Absent });
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

/// Where a linked unit leads: to the end of all links, as Python's `os.path.realpath` has it.
fn linked_file(root: &Root, source: &Path) -> PathBuf {
    root.as_seen(&root.resolved(source))
}

/// Links the units that the target wants straight from packages, as the activation of 1.10 does
/// after its swap.
pub(super) fn link_wanted(site: &Site) -> anyhow::Result<()> {
    for name in site.root.names(layout::TARGET_WANTS)? {
        match files::file_kind(&site.root.at(layout::wants(&name)))? {
            Some(FileKind::Link { target }) if target.starts_with(layout::REPOSITORY) => {
                let file = linked_file(&site.root, &target);
                place::link(site, &layout::unit(&name), &file)?;
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) async fn place(
    site: &Site,
    units: Vec<(String, PathBuf)>,
    form: UnitForm,
) -> anyhow::Result<()> {
    warn_of_masks(site, &units)?;
    match form {
        UnitForm::Copied => copy(site, units).await?,
        UnitForm::Linked => site.blocking(move |site| link(site, &units)).await?,
    }
    // systemd makes the links but does not make them durable.
    site.blocking(|site| {
        let wants = site.root.resolved(layout::TARGET_WANTS);
        site.label(&[&wants]);
        Ok(files::sync_directory(&wants)?)
    })
    .await
}

/// Names each mask of an operator that a unit is about to replace.
fn warn_of_masks(site: &Site, units: &[(String, PathBuf)]) -> anyhow::Result<()> {
    for (name, _) in units {
        if let Some(FileKind::Link { target }) =
            files::file_kind(&site.root.at(layout::unit(name)))?
            && units::is_mask(&target)
        {
            site.events.warn(format!(
                "{name} was masked by an operator; DC/OS' unit takes the place of the mask, which \
                 an uninstall restores"
            ));
        }
    }
    Ok(())
}

fn link(site: &Site, units: &[(String, PathBuf)]) -> anyhow::Result<()> {
    for (name, source) in units {
        place::link(site, &layout::unit(name), &linked_file(&site.root, source))?;
    }
    make_parents(site, &layout::wants("x"))?;
    for (name, source) in units {
        place::link(site, &layout::wants(name), source)?;
    }
    Ok(())
}

async fn copy(site: &Site, units: Vec<(String, PathBuf)>) -> anyhow::Result<()> {
    let names: Vec<String> = units.iter().map(|(name, _)| name.clone()).collect();
    site.blocking(move |site| {
        for (name, source) in &units {
            let (content, mode) = unit_file(site, source)?;
            place::file(site, &layout::unit(name), mode, &content)?;
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
    Ok(())
}
