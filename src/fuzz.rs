//! Bodies for fuzzing: each reads bytes that come from outside, must not panic, and must stay
//! within its limits. `tests/suite/fuzz.rs` runs a few on every change, `make fuzz` many.

use std::os::fd::AsFd;
use std::path::Path;

use crate::dcos::build::{parse_latest, parse_package_list};
use crate::dcos::cluster::{Ensemble, Metrics, Mode, failed_checks};
use crate::dcos::index::Artifacts;
use crate::dcos::installer_script;
use crate::dcos::journal::Story;
use crate::dcos::pkginfo::PackageInfo;
use crate::dcos::receipt::{Manifest, Receipt};
use crate::dcos::redact::Redactor;
use crate::system::unpack::{Names, Options, Owners, select, unpack};
use crate::system::{archive, files};

/// Small enough for many cases a second; a real archive differs in size only.
const MOST_BYTES: u64 = 1 << 20;
const MOST_MEMBERS: u64 = 200;
const DECODER_MEMORY: u64 = 16 << 20;
/// Where a header has the sum of its bytes; counted as spaces (POSIX ustar).
const SUM: std::ops::Range<usize> = 148..156;

/// An archive in any form, unpacked below `scratch`, which is emptied again. Nothing beside that is
/// touched.
pub fn archive(data: &[u8], scratch: &Path) {
    if let Ok(decoder) = archive::decode(data, DECODER_MEMORY) {
        let _ = select(decoder, &["pkginfo.json"], MOST_BYTES);
    }
    let into = scratch.join("into");
    let _ = files::remove_tree(&into);
    if files::make_directory(&into, 0o700).is_err() {
        return;
    }
    let names = Names::default();
    let options = Options {
        owners: Owners::Record(&names),
        strip: None,
        max_bytes: MOST_BYTES,
        max_entries: MOST_MEMBERS,
    };
    if let (Ok(decoder), Ok(directory)) =
        (archive::decode(data, DECODER_MEMORY), files::open_directory(&into))
        && let Ok(unpacked) = unpack(decoder, directory.as_fd(), &options, &mut |_| {})
    {
        assert!(unpacked.bytes <= MOST_BYTES && unpacked.entries.len() as u64 <= MOST_MEMBERS);
        assert!(unpacked.entries.iter().all(|entry| files::exists(&into.join(&entry.path))));
    }
    let _ = files::remove_tree(&into);
}

/// A plain archive whose headers are made right again after a change: with a wrong sum none is read
/// further.
pub fn headers(data: &[u8], scratch: &Path) {
    let mut data = data.to_vec();
    for block in
        data.chunks_exact_mut(512).filter(|block| block.get(257..262) == Some(b"ustar".as_slice()))
    {
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if SUM.contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        if let Some(field) = block.get_mut(SUM) {
            field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    archive(&data, scratch);
}

/// The digests and sizes of a build index, and the lists of a classic serve directory.
pub fn build_index(data: &[u8]) {
    if let Ok(artifacts) = serde_json::from_slice::<Artifacts>(data) {
        let again = serde_json::to_vec(&artifacts)
            .ok()
            .and_then(|text| serde_json::from_slice::<Artifacts>(&text).ok());
        assert_eq!(again, Some(artifacts));
    }
    let _ = parse_latest("bootstrap.latest", data);
    let _ = parse_package_list("list", data);
}

/// What a package says of itself.
pub fn package_metadata(data: &[u8]) {
    let _ = PackageInfo::parse(data);
    let _ = crate::dcos::settings::Version::parse(data);
}

/// `dcos_install.sh`, read as data.
pub fn installer_script(data: &[u8]) {
    if let Ok(found) = installer_script::node_files(&String::from_utf8_lossy(data)) {
        assert!(found.iter().all(|file| file.path.is_absolute() && file.mode <= 0o7777));
    }
}

/// Our own records: journal, receipt and manifest.
pub fn records(data: &[u8]) {
    let _ = Story::read(data);
    let _ = Receipt::parse(data);
    let _ = serde_json::from_slice::<Manifest>(data);
}

/// What Exhibitor, ZooKeeper, Mesos and DC/OS' own checks answer.
pub fn answers(data: &[u8]) {
    if let Some(ensemble) = Ensemble::parse(data) {
        assert!(ensemble.serving() + ensemble.missing().len() <= ensemble.members.len());
    }
    let _ = Metrics::parse(data);
    let _ = Mode::parse(&String::from_utf8_lossy(data));
    let _ = failed_checks(data);
}

/// A text that goes into a support bundle: whatever stands before it, a password in a line of its
/// own does not come out, be it a variable or an option.
pub fn redaction(data: &[u8], redactor: &Redactor) {
    let (text, secret) = (String::from_utf8_lossy(data), "k33p-th1s-1n");
    redactor.clean(&text);
    for before in ["DOCKER_PASSWORD=", "JAVA_OPTS=-Dx.password="] {
        let clean = redactor.clean(&format!("{text}\n{before}{secret}\n"));
        assert!(!clean.text.contains(secret) && clean.taken > 0);
    }
}
