//! What a serve directory offers: a published build by its index, a classic one by the files that
//! `dcos_generate_config.sh` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::dcos::build::{
    BOOTSTRAP_LATEST, Build, INSTALLER_SCRIPT, InvalidBuild, PACKAGE_LIST_LATEST, parse_latest,
    parse_package_list,
};
use crate::dcos::id::PackageId;
use crate::dcos::index::{self, Artifacts, INDEX, Index, KeptIndexes, preferred};
use crate::dcos::installer_script;
use crate::dcos::settings::{CONFIG_MEMBERS, Settings, VERSION_MEMBER};
use crate::system::digest::{self, Hashing};
use crate::system::source::{self, Source};
use crate::system::{archive, unpack};

/// Longest small file of a serve directory: `dcos_install.sh` of a real build has some 50 KiB.
const SMALL: u64 = 16 << 20;
/// Longest member of a configuration package that is read.
const MEMBER: u64 = 1 << 20;
/// The most bytes of a configuration package, packed without an index and unpacked: those of real
/// builds have less than 1 MiB.
const MAX_PACKED: u64 = 64 << 20;
const MAX_UNPACKED: u64 = 256 << 20;
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
    /// A configuration package cannot be decoded for want of memory.
    #[error("not enough memory to read {archive} of the build")]
    OutOfMemory {
        /// Relative to the serve directory.
        archive: String,
    },
    /// The server does not have the build index that this program was published for.
    #[error(
        "this dcos-node was published for an earlier build; get the new one: curl -O {program} \
         (the SHA-256 of its index is {expected}, the server has {})",
        found.as_deref().unwrap_or("no index")
    )]
    OtherIndex {
        /// The SHA-256 in our stamp.
        expected: String,
        /// That of the server's index; none if it has no index.
        found: Option<String>,
        /// Where the server's own program is.
        program: String,
    },
    /// The server still has the build index that this program was published for, but not all files
    /// of that build: another one was generated since.
    #[error(
        "this dcos-node was published for an earlier build; get the new one: curl -O {program} \
         ({made}; not there any more: {missing})"
    )]
    EarlierBuild {
        /// What was generated since.
        made: String,
        /// Which file is missing, or how many.
        missing: String,
        /// Where the server's own program is.
        program: String,
    },
    /// A configuration package is not the one that the index knows.
    #[error(
        "{archive} of the build is not what was published: its SHA-256 is {found}; the build index \
         says {expected}"
    )]
    OtherArchive {
        /// Relative to the serve directory.
        archive: String,
        /// The SHA-256 in the index.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// The same, by its length.
    #[error(
        "{archive} of the build is not what was published: it has more than the {bytes} bytes that \
         the build index says"
    )]
    LongerArchive {
        /// Relative to the serve directory.
        archive: String,
        /// Its length in the index.
        bytes: u64,
    },
}

impl Error {
    /// Whether what the server gave is provably not what was published.
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Error::OtherIndex { .. }
                | Error::OtherArchive { .. }
                | Error::LongerArchive { .. }
                | Error::EarlierBuild { .. }
        )
    }
}

/// Reads everything but the packages: from the index where there is one. With a digest no other
/// index counts, and a directory without is refused.
///
/// # Errors
/// The first file that is missing or wrong.
pub async fn build(source: &Source, digest: Option<&str>) -> Result<Build, Error> {
    match index(source, digest).await? {
        Some((index, sha256)) => Ok(Build::of_index(index, source.to_string(), sha256)?),
        None => classic(source).await,
    }
}

/// The index and its SHA-256; none for a classic serve directory. After a newer build was
/// published, the older ones stay under their own names.
async fn index(source: &Source, digest: Option<&str>) -> Result<Option<(Index, String)>, Error> {
    let newest = text_if_there(source, INDEX).await?;
    let found = newest.as_deref().map(sha256);
    let (file, text, sha256) = match (newest, found, digest) {
        (None, _, None) => return Ok(None),
        (Some(text), Some(found), wanted) if wanted.is_none_or(|wanted| wanted == found) => {
            (INDEX.to_owned(), text, found)
        }
        (_, found, wanted) => {
            let expected = wanted.unwrap_or_default().to_owned();
            let kept = index::kept(&expected);
            match text_if_there(source, &kept).await?.filter(|text| sha256(text) == expected) {
                Some(text) => (kept, text, expected),
                None => {
                    return Err(Error::OtherIndex { expected, found, program: program(source) });
                }
            }
        }
    };
    let index = Index::parse(&text).map_err(|reason| InvalidBuild::index(&file, &reason))?;
    Ok(Some((index, sha256)))
}

async fn text_if_there(source: &Source, file: &str) -> Result<Option<Vec<u8>>, Error> {
    match source.read(file, index::LONGEST).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(Error::Fetch { file: file.to_owned(), source }),
    }
}

fn sha256(bytes: &[u8]) -> String {
    digest::hex(&digest::sha256(bytes))
}

/// The published build with exactly these active packages, by the first of: the indexes with the
/// given SHA-256, those that the server lists, the newest; none if it has none.
///
/// # Errors
/// The server does not answer, or the build cannot be used.
pub async fn published(
    source: &Source,
    active: &BTreeSet<PackageId>,
    first: &[String],
) -> Result<Option<Build>, Error> {
    let list = match source.read(index::KEPT_LIST, index::LONGEST_LIST).await {
        Ok(text) => serde_json::from_slice::<KeptIndexes>(&text).unwrap_or_default(),
        Err(error) if error.is_not_found() => KeptIndexes::default(),
        Err(source) => return Err(Error::Fetch { file: index::KEPT_LIST.to_owned(), source }),
    };
    let newest = text_if_there(source, INDEX).await?;
    let listed = list.of(active);
    for wanted in first.iter().map(String::as_str).chain(listed) {
        let kept = text_if_there(source, &index::kept(wanted)).await?;
        let text = [kept.as_ref(), newest.as_ref()].into_iter().flatten();
        if let Some(build) = build_of(text, active, source, |found| found == wanted)? {
            return Ok(Some(build));
        }
    }
    Ok(build_of(newest.iter(), active, source, |_| true)?)
}

/// The build of the first index that has the wanted SHA-256 and exactly these active packages.
fn build_of<'a>(
    texts: impl Iterator<Item = &'a Vec<u8>>,
    active: &BTreeSet<PackageId>,
    source: &Source,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<Build>, InvalidBuild> {
    for text in texts {
        let found = sha256(text);
        if let Some(index) =
            Index::parse(text).ok().filter(|index| is_wanted(&found) && index.active() == *active)
        {
            return Ok(Some(Build::of_index(index, source.to_string(), found)?));
        }
    }
    Ok(None)
}

/// The text of the index with this SHA-256, for who keeps it.
///
/// # Errors
/// The server does not give it.
pub async fn index_text(source: &Source, wanted: &str) -> Result<Vec<u8>, Error> {
    for file in [INDEX.to_owned(), index::kept(wanted)] {
        if let Some(text) =
            text_if_there(source, &file).await?.filter(|text| sha256(text) == wanted)
        {
            return Ok(text);
        }
    }
    Err(Error::OtherIndex { expected: wanted.to_owned(), found: None, program: program(source) })
}

/// Where a published serve directory has its program.
fn program(source: &Source) -> String {
    match source {
        Source::Server { .. } => {
            format!("{}/dcos-node", source.to_string().trim_end_matches('/'))
        }
        Source::Directory(directory) => format!("file://{}/dcos-node", directory.display()),
    }
}

/// The error for a build of which files are gone, if another one was generated since.
pub async fn earlier_build(source: &Source, build: &Build, missing: &str) -> Option<Error> {
    let made = made_since(source, build).await?;
    Some(Error::EarlierBuild { made, missing: missing.to_owned(), program: program(source) })
}

/// What `dcos_generate_config.sh` wrote after the build was published, in words; none if nothing
/// did, and for a classic serve directory.
pub async fn made_since(source: &Source, build: &Build) -> Option<String> {
    build.index_sha256.as_ref()?;
    let mut made = Vec::new();
    for (file, published) in
        [(BOOTSTRAP_LATEST, &build.bootstrap_id), (PACKAGE_LIST_LATEST, &build.package_list_id)]
    {
        // A server that gives the published files only is fine.
        let latest = small(source, file).await.ok().and_then(|text| parse_latest(file, &text).ok());
        made.extend(
            latest
                .filter(|latest| latest != published)
                .map(|latest| format!("{file} names {latest}, the index {published}")),
        );
    }
    (!made.is_empty()).then(|| made.join("; "))
}

/// Reads a classic serve directory.
///
/// # Errors
/// The first file that is missing or wrong.
pub async fn classic(source: &Source) -> Result<Build, Error> {
    let bootstrap_id = parse_latest(BOOTSTRAP_LATEST, &small(source, BOOTSTRAP_LATEST).await?)?;
    let package_list_id =
        parse_latest(PACKAGE_LIST_LATEST, &small(source, PACKAGE_LIST_LATEST).await?)?;
    let (list, active) =
        (Build::package_list(&package_list_id), Build::bootstrap_active(&bootstrap_id));
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
/// A package that is listed but cannot be had or read, or is not the one that the index knows.
pub async fn settings(source: &Source, build: &Build) -> Result<Settings, Error> {
    let mut members = BTreeMap::new();
    if let Some(config) = build.config_package() {
        members.extend(select(source, build, config, &CONFIG_MEMBERS).await?);
    }
    if let Some(metadata) = build.metadata_package() {
        members.extend(select(source, build, metadata, &[VERSION_MEMBER]).await?);
    }
    Ok(Settings::read(|member| members.get(member).cloned()))
}

async fn small(source: &Source, file: &str) -> Result<Vec<u8>, Error> {
    source.read(file, SMALL).await.map_err(|source| Error::Fetch { file: file.to_owned(), source })
}

async fn select(
    source: &Source,
    build: &Build,
    id: &PackageId,
    wanted: &'static [&'static str],
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let path = id.archive();
    let (archive, expected) = preferred(&path, build.artifact(&path));
    let (archive, expected) = (archive.to_owned(), expected.map(str::to_owned));
    let bytes = build.artifact(&path).map_or(MAX_PACKED, |artifact| artifact.bytes_of(&archive));
    let is_published = expected.is_some();
    let download = source.open(&archive, bytes).await.map_err(|source| {
        if is_published && source.is_too_large() {
            Error::LongerArchive { archive: archive.clone(), bytes }
        } else {
            Error::Fetch { file: archive.clone(), source }
        }
    })?;
    let selected = tokio::task::spawn_blocking(move || {
        let mut reader = Hashing::new(download.reader);
        let members = members(&mut reader, wanted);
        // What the decoder did not take counts too: a damaged archive is told from another one.
        let drained = std::io::copy(&mut reader, &mut std::io::sink());
        (members, drained.map(|_| digest::hex(&reader.finish().1)))
    })
    .await;
    let damaged = |source: anyhow::Error| Error::Damaged { archive: archive.clone(), source };
    let (members, found) = selected.map_err(|e| damaged(e.into()))?;
    match (members, found, expected) {
        (Err(error), ..) if error.chain().any(archive::is_out_of_memory) => {
            Err(Error::OutOfMemory { archive })
        }
        (_, Ok(found), Some(expected)) if found != expected => {
            Err(Error::OtherArchive { archive, expected, found })
        }
        (_, Err(error), Some(_)) if is_too_large(&error) => {
            Err(Error::LongerArchive { archive, bytes })
        }
        (Err(error), ..) => Err(damaged(error)),
        (Ok(_), Err(error), _) => Err(damaged(error.into())),
        (Ok(members), ..) => Ok(members),
    }
}

fn is_too_large(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<source::Error>());
    inner.is_some_and(source::Error::is_too_large)
}

fn members(reader: impl Read, wanted: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    // A stream that is cut there does not end as an archive does.
    let decoded = archive::decode(reader, DECODER_MEMORY)?.take(MAX_UNPACKED);
    Ok(unpack::select(decoded, wanted, MEMBER)?)
}
