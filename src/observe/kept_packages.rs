//! What an install of a published build need not fetch.

use std::collections::BTreeMap;

use crate::dcos::build::Build;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::receipt::{self, Manifest};
use crate::dcos::store;
use crate::system::root::Root;

/// The packages of a build that are on the node and came from an archive that its index names, by
/// their manifests, and the directory that each is in. Their bytes are not compared.
pub fn look(root: &Root, build: &Build) -> BTreeMap<PackageId, &'static str> {
    let is_named = |id: &PackageId| {
        let text = root.read(layout::manifest(id), receipt::LONGEST_MANIFEST).ok().flatten();
        let archive = text.and_then(|text| Manifest::archive_in(&text, id));
        archive.is_some_and(|sha256| build.names(id, &sha256))
    };
    let named = build.active().into_iter().filter(is_named);
    named
        .filter_map(|id| {
            let is_there =
                |directory: &&str| root.first_directory([store::package(directory, &id)]).is_some();
            let directory = store::directories().find(is_there)?;
            Some((id, directory))
        })
        .collect()
}
