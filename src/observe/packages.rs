//! Reads packages as they are in the repository, or in a store before they are moved there.

use std::path::Path;

use anyhow::Context;

use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::package::{Member, Package};
use crate::dcos::pkginfo::PackageInfo;
use crate::dcos::store;
use crate::system::files::{self, Next, Place};
use crate::system::root::Root;

/// Longest `pkginfo.json` or `buildinfo.full.json`.
const LONGEST: u64 = 16 << 20;

/// Reads each of these packages whole.
///
/// # Errors
/// All packages that cannot be used, in one error: a missing directory, a `pkginfo.json` that is
/// missing or wrong.
pub fn packages<'a>(
    root: &Root,
    ids: impl IntoIterator<Item = &'a PackageId>,
) -> anyhow::Result<Vec<Package>> {
    let (mut packages, mut problems) = (Vec::new(), Vec::new());
    for id in ids {
        match package(root, id) {
            Ok(package) => packages.push(package),
            Err(error) => problems.push(format!("{id}: {error:#}")),
        }
    }
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(packages)
}

fn package(root: &Root, id: &PackageId) -> anyhow::Result<Package> {
    let place = root.first_directory(store::places(id)).context("its directory is not there")?;
    let top = root.resolved(&place);
    let text =
        files::read(&top.join("pkginfo.json"), LONGEST)?.context("there is no pkginfo.json")?;
    let info = PackageInfo::parse(&text)?;
    let buildinfo = files::read(&top.join("buildinfo.full.json"), LONGEST)?;
    let buildinfo = buildinfo
        .map(|text| serde_json::from_slice(&text).context("buildinfo.full.json is not JSON"))
        .transpose()?;
    let (mut members, mut services) = (Vec::new(), Vec::new());
    for name in files::names(&top)?.context("its directory is not there")? {
        let name = name.to_string_lossy().into_owned();
        let directory = root.resolved(place.join(&name));
        if is_linked(&name) && directory.is_dir() {
            walk(&directory, &mut |path, is_directory| {
                members.push(Member {
                    top: name.clone(),
                    path: path.to_owned(),
                    directory: is_directory,
                })
            })?;
        }
    }
    walk(&top, &mut |path, is_directory| {
        if !is_directory && path.extension().is_some_and(|e| e == "service") {
            services.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    })?;
    Ok(Package { id: id.clone(), info, buildinfo, members, services })
}

/// Whether a directory of a package can be linked, for this role or another.
fn is_linked(name: &str) -> bool {
    layout::WELL_KNOWN.iter().any(|known| {
        name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// Every path below a directory, parents first, and whether it is a directory; links are not
/// followed. What has a longer path than the kernel takes is left out, as pkgpanda does: no link
/// could lead to it.
fn walk(top: &Path, tell: &mut dyn FnMut(&Path, bool)) -> Result<(), files::Error> {
    files::walk(top, &mut |place: &Place<'_>| -> Result<Next, files::Error> {
        if !place.has_usable_path() {
            return Ok(Next::Over);
        }
        let below = place.path.strip_prefix(top).unwrap_or(place.path);
        if !below.as_os_str().is_empty() {
            tell(below, place.is_directory());
        }
        Ok(Next::Into)
    })
}
