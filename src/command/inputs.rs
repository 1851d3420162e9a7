//! Files and directories that options name. They are read before anything else happens, and once:
//! a pipe, as in `--ip-detect <(...)`, can be read a single time.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::dcos::exit::Exit;
use crate::dcos::layout;
use crate::system::files;
use crate::system::http::Authorities;

/// The longest script, in bytes.
const MAX_SCRIPT: u64 = 1 << 20;
/// The longest file of certificates, in bytes: those of all authorities have less than one million.
const MAX_CERTIFICATES: u64 = 4 << 20;

/// A path on the command line that must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// What it is for.
    pub purpose: Purpose,
    /// As it was typed.
    pub path: PathBuf,
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The root directory of the node.
    Root,
    /// Certificates to trust besides the system's.
    Authorities,
    /// The script that is tried instead of the build's.
    IpDetect,
    /// The program that `publish` stamps.
    Program,
    /// The directory that `publish` and `serve` are given.
    ServeDirectory,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Certificates to trust besides the system's.
    pub authorities: Option<Authorities>,
    /// A script to try instead of the build's.
    pub ip_detect: Option<Vec<u8>>,
}

impl Purpose {
    /// The option or argument, as help shows it.
    pub fn option(self) -> &'static str {
        match self {
            Purpose::Root => "--root",
            Purpose::Authorities => "--ca-file",
            Purpose::IpDetect => "--ip-detect",
            Purpose::Program => "--binary",
            Purpose::ServeDirectory => "<DIRECTORY>",
        }
    }

    /// What to type instead.
    fn fix(self) -> &'static str {
        match self {
            Purpose::Root => {
                "name the root directory of an image by its absolute path, with --root or \
                 DCOS_NODE_ROOT"
            }
            Purpose::Authorities => {
                "name a PEM file that this user can read, with --ca-file or DCOS_NODE_CA_FILE"
            }
            Purpose::IpDetect => {
                "name a script that this user can read, with --ip-detect or DCOS_NODE_IP_DETECT"
            }
            Purpose::Program => {
                "name the file of a dcos-node, with --binary or DCOS_NODE_BINARY; without them \
                 this program is stamped"
            }
            Purpose::ServeDirectory => {
                "name the directory that dcos_generate_config.sh wrote: genconf/serve"
            }
        }
    }
}

/// Reads what options name, or looks whether it can be read where a command reads it itself.
///
/// # Errors
/// A file or directory does not exist, is of another kind, or this user cannot read it.
pub fn read(inputs: &[Input]) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    for input in inputs {
        let path = &input.path;
        let read = match input.purpose {
            Purpose::Root => root(path),
            Purpose::ServeDirectory => files::check_directory(path),
            // A stamp is put into a copy of it, which no pipe can be.
            Purpose::Program => files::open_file(path).map(drop),
            Purpose::Authorities => files::read_named(path, MAX_CERTIFICATES).map(|pem| {
                let origin = path.display().to_string();
                contents.authorities = Some(Authorities { origin, pem });
            }),
            Purpose::IpDetect => files::read_named(path, MAX_SCRIPT).map(|text| {
                contents.ip_detect = Some(text);
            }),
        };
        read.map_err(|error| refuse(input, &error))?;
    }
    Ok(contents)
}

fn root(path: &Path) -> Result<(), Error> {
    if !path.is_absolute() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not an absolute path"));
    }
    files::check_directory(path)
}

fn refuse(input: &Input, error: &Error) -> Failure {
    let Input { purpose, path } = input;
    let mut fix = purpose.fix().to_owned();
    if error.kind() == ErrorKind::NotFound && path.starts_with(layout::DESCRIPTORS) {
        fix.push_str("; sudo closes the pipe of <(...), so write what it prints to a file first");
    } else if let Some(directory) = std::env::current_dir().ok().filter(|_| path.is_relative()) {
        fix.push_str(&format!("; it was looked for in {}", directory.display()));
    }
    let option = purpose.option();
    Failure::new(Exit::Usage, anyhow::anyhow!("cannot read {} ({option}): {error}", path.display()))
        .leaving("nothing was changed")
        .cured_by(fix)
}
