//! What a classic serve directory offers.

use crate::dcos::build::{BOOTSTRAP_LATEST, Build, INSTALLER_SCRIPT, InvalidBuild, PACKAGE_LIST_LATEST, parse_latest, parse_package_list};
use crate::dcos::id::PackageId;
use crate::dcos::index::Artifacts;
use crate::dcos::installer_script;
use crate::dcos::settings::{CONFIG_MEMBERS, Settings, VERSION_MEMBER};
use crate::system::source::{self, Source};
use crate::system::{archive, unpack};

/// Longest small file of a serve directory: `dcos_install.sh` of a real build has some 50 KiB.
const SMALL: u64 = 16 << 20;
/// Longest member of a configuration package that is read.
const MEMBER: u64 = 1 << 20;
/// Memory for the decoder of a configuration package.
const DECODER_MEMORY: u64 = 80 << 20;

/// Why a build cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server or directory does not give it.
    #[error("cannot read {file} of the build")]
    Fetch {
        /// Relative to the serve directory.
        file: String,
        /// Why.
        source: source::Error,
    },
    /// It is there but wrong.
    #[error("the build cannot be used")]
    Invalid(#[from] InvalidBuild),
    /// `dcos_install.sh` does not have the shape that it has in every release.
    #[error("{INSTALLER_SCRIPT} of the build cannot be read as data")]
    Script(#[from] installer_script::Unreadable),
    /// It could not even be asked for.
    #[error("the build cannot be read: {0}")]
    Unreached(String),
    /// A configuration package is damaged.
    #[error("{archive} of the build is damaged")]
    Damaged {
        /// Relative to the serve directory.
        archive: String,
        /// Why.
        source: anyhow::Error,
    },
}

/// Reads everything but the packages.
///
/// # Errors
/// The first file that is missing or wrong.
pub async fn build(source: &Source) -> Result<Build, Error> {
    let bootstrap_id = parse_latest(BOOTSTRAP_LATEST, &small(source, BOOTSTRAP_LATEST).await?)?;
    let package_list_id = parse_latest(PACKAGE_LIST_LATEST, &small(source, PACKAGE_LIST_LATEST).await?)?;
    let (list, active) = (Build::package_list(&package_list_id), Build::bootstrap_active(&bootstrap_id));
    let packages = parse_package_list(&list, &small(source, &list).await?)?;
    let bootstrap_packages = parse_package_list(&active, &small(source, &active).await?)?;
    let script = small(source, INSTALLER_SCRIPT).await?;
    let node_files = installer_script::node_files(&String::from_utf8_lossy(&script))?;
    Ok(Build {
        url: source.to_string(),
        bootstrap_id,
        package_list_id,
        bootstrap_packages,
        packages,
        node_files,
        artifacts: Artifacts::new(),
        index_sha256: None,
    })
}

/// Reads the cluster's settings out of the small packages that hold them, in memory.
///
/// # Errors
/// A package that is listed but cannot be had or read.
pub async fn settings(source: &Source, build: &Build) -> Result<Settings, Error> {
    let mut members = std::collections::BTreeMap::new();
    if let Some(config) = build.config_package() {
        members.extend(select(source, config, &CONFIG_MEMBERS).await?);
    }
    if let Some(metadata) = build.metadata_package() {
        members.extend(select(source, metadata, &[VERSION_MEMBER]).await?);
    }
    Ok(Settings::read(|member| members.get(member).cloned()))
}

async fn small(source: &Source, file: &str) -> Result<Vec<u8>, Error> {
    source.read(file, SMALL).await.map_err(|source| Error::Fetch { file: file.to_owned(), source })
}

async fn select(
    source: &Source,
    id: &PackageId,
    wanted: &'static [&'static str],
) -> Result<std::collections::BTreeMap<String, Vec<u8>>, Error> {
    let archive = id.archive();
    let download = source.open(&archive).await.map_err(|source| Error::Fetch { file: archive.clone(), source })?;
    let selected = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        Ok(unpack::select(archive::decode(download.reader, DECODER_MEMORY)?, wanted, MEMBER)?)
    })
    .await;
    selected.map_err(anyhow::Error::from).and_then(|result| result).map_err(|source| Error::Damaged { archive, source })
}
