//! What `make dist` packs of the program under test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{checkout, node};

/// Time of everything in the packages, in seconds since 1970.
const MOMENT: &str = "1700000000";

/// Who packs: umask, time zone and locale, none of which makes a difference.
pub type Packer = (&'static str, &'static str, &'static str);

/// Packages and the directory they are in.
pub struct Packed {
    /// The directory.
    pub directory: PathBuf,
    /// The content of each file by its name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Packed {
    /// Packs the program of the tests into a directory below `desk`, which is named after the
    /// packer's umask. A small copy is packed: a debug build has a hundred megabytes of symbols.
    pub fn by((umask, zone, locale): Packer, desk: &Path) -> Packed {
        let program = desk.join("program");
        must(Command::new("strip").arg("-o").arg(&program).arg(node::binary()));
        let directory = desk.join(umask);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"])
            .arg(checkout().join(".packaging/dist.sh"))
            .arg(&program)
            .arg(&directory);
        must(
            command
                .env("TZ", zone)
                .env("LC_ALL", locale)
                .env("SOURCE_DATE_EPOCH", MOMENT)
                .current_dir(desk),
        );
        let list = fs::read_dir(&directory).expect("the packages");
        let files = list.map(|entry| {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a package"))
        });
        Packed { files: files.collect(), directory }
    }

    /// The path of the package whose name ends so.
    pub fn path(&self, end: &str) -> PathBuf {
        let name = self.files.keys().find(|name| name.ends_with(end));
        self.directory.join(name.unwrap_or_else(|| panic!("no {end}")))
    }
}

/// Runs a command that must succeed.
#[track_caller]
pub fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
