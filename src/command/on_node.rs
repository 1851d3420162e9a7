//! A published build that is on the node already: an install of it needs no server.

use std::path::PathBuf;

use super::World;
use crate::action::{Site, fetch, kept_index};
use crate::dcos::build::Build;
use crate::dcos::index::{self, Index};
use crate::dcos::layout;
use crate::dcos::settings::Settings;
use crate::observe;
use crate::observe::server::Server;
use crate::system::root::Root;
use crate::system::source::Source;
use crate::system::{digest, files};

/// Longest file of a package that is read for the settings.
const LONGEST_MEMBER: u64 = 1 << 20;

/// The build of the pinned index and its settings, if every package that the index names is on the
/// node and came from an archive that it names. The packages that hold the settings, whose scripts
/// the checks run, are compared byte by byte; the install compares all of them.
pub(super) async fn build(
    world: &World,
    pinned: Option<&str>,
    url: String,
) -> Option<(Server, Build, Settings)> {
    let (root, pinned) = (world.root.clone(), pinned?.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&root, &pinned, url)).await;
    let (build, settings) = read.ok().and_then(|read| {
        read.unwrap_or_else(|error| {
            tracing::info!(error = format!("{error:#}"), "the packages on the node do not count");
            None
        })
    })?;
    Some((Server::not_needed(&build, &settings), build, settings))
}

fn read(root: &Root, pinned: &str, url: String) -> anyhow::Result<Option<(Build, Settings)>> {
    let Some(text) = root.read(layout::kept_index(pinned), index::LONGEST)? else {
        return Ok(None);
    };
    if digest::hex(&digest::sha256(&text)) != pinned {
        return Ok(None);
    }
    let build = Build::of_index(Index::parse(&text)?, url, pinned.to_owned())?;
    if observe::kept_packages::look(root, &build).len() < build.active().len() {
        return Ok(None);
    }
    let (config, metadata) = (build.config_package().cloned(), build.metadata_package().cloned());
    let mut places = Vec::new();
    for id in [&config, &metadata].into_iter().flatten() {
        let archive = if build.bootstrap_packages.contains(id) {
            Build::bootstrap_archive(&build.bootstrap_id)
        } else {
            id.archive()
        };
        match build.artifact(&archive) {
            Some(artifact) => match fetch::usable_place(root, id, artifact)? {
                Some(place) => places.push(place),
                None => return Ok(None),
            },
            None => return Ok(None),
        }
    }
    let read = |place: &PathBuf, member: &str| {
        root.read(place.join(member), LONGEST_MEMBER).ok().flatten()
    };
    let settings = Settings::read(|member| places.iter().find_map(|place| read(place, member)));
    Ok(Some((build, settings)))
}

/// Keeps the index of a build whose packages are on the node. Without it the next run asks the
/// server.
pub(super) async fn keep_index(site: &Site, source: &Source, build: &Build) {
    let Some(sha256) = build.index_sha256.clone() else { return };
    if files::exists(&site.root.at(layout::kept_index(&sha256))) {
        return;
    }
    let kept = async {
        let text = observe::build::index_text(source, &sha256).await?;
        site.blocking(move |site| kept_index::write(site, &sha256, &text)).await
    };
    if let Err(error) = kept.await {
        site.events.warn(format!("the build index is not kept on the node: {error:#}"));
    }
}
