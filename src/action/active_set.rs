//! Builds the whole active set beside the live one: redo is delete and rebuild.

use std::path::Path;

use super::Site;
use super::place::make_parents;
use crate::dcos::active_set::ActiveSet;
use crate::dcos::farm::Entry;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files;

/// Directories among the active names that are linked from packages.
const FARM: [&str; 4] = ["bin", "etc", "include", "lib"];

pub(crate) fn objects() -> Vec<Object> {
    layout::ACTIVE_NAMES
        .iter()
        .map(|name| Object::ActiveName { name: (*name).to_owned(), incoming: None })
        .collect()
}

pub(crate) fn build(site: &Site, set: &ActiveSet) -> anyhow::Result<()> {
    make_parents(site, &layout::new_name("bin"))?;
    for name in layout::ACTIVE_NAMES {
        files::remove_tree(&site.root.at(layout::new_name(name)))?;
    }
    for name in FARM {
        let top = site.root.at(layout::new_name(name));
        files::make_directory(&top, 0o755)?;
        for (path, entry) in set.farm.below(name) {
            match entry {
                Entry::Directory => files::make_directory(&top.join(path), 0o755)?,
                Entry::Link { target } => files::link(&top.join(path), target)?,
            }
        }
    }
    write(
        site,
        &site.root.at(layout::new_name("etc")).join("dcos-service-configuration.json"),
        &set.service_configuration(),
    )?;
    write(site, &site.root.at(layout::new_name("environment")), &set.environment())?;
    write(site, &site.root.at(layout::new_name("environment.export")), &set.environment_export())?;
    write(site, &site.root.at(layout::new_name("active.buildinfo.full.json")), &set.build_info())?;
    let active = site.root.at(layout::new_name("active"));
    files::make_directory(&active, 0o755)?;
    for package in &set.packages {
        files::link(&active.join(package.id.name()), &layout::package(&package.id))?;
    }
    let new: Vec<_> =
        layout::ACTIVE_NAMES.iter().map(|name| site.root.at(layout::new_name(name))).collect();
    site.label(&new.iter().map(|p| p.as_path()).collect::<Vec<_>>());
    Ok(files::sync_file_system(&active)?)
}

fn write(site: &Site, path: &Path, text: &str) -> anyhow::Result<()> {
    Ok(files::place(path, text.as_bytes(), 0o644, site.root_owner())?)
}
