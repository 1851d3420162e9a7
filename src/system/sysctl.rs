//! Settings of the kernel, one file each below `/proc/sys` (`proc_sys(5)`). A name has slashes
//! between its parts, because interfaces have dots.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::fault::{self, Effect};
use super::files::Error;

/// What a setting is now, without the line end; none if this kernel does not have it.
///
/// # Errors
/// It cannot be read.
pub fn read(proc: &Path, name: &str) -> Result<Option<String>, Error> {
    let path = file(proc, name, "read")?;
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(source) => Err(Error { operation: "read", path, source }),
    }
}

/// Sets it.
///
/// # Errors
/// The kernel refuses the value, or `/proc/sys` is read-only, as in a container.
pub fn write(proc: &Path, name: &str, value: &str) -> Result<(), Error> {
    let path = file(proc, name, "write")?;
    let write = || {
        fault::point(Effect::Write, &path)?;
        fs::write(&path, format!("{value}\n"))
    };
    write().map_err(|source| Error { operation: "write", path: path.clone(), source })
}

/// The names in a directory of settings, sorted; none if there is no such directory.
pub fn names(proc: &Path, directory: &str) -> Vec<String> {
    let path = proc.join("sys").join(directory);
    let mut names: Vec<String> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A name that leads elsewhere is none.
fn file(proc: &Path, name: &str, operation: &'static str) -> Result<PathBuf, Error> {
    let path = proc.join("sys").join(name);
    if Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    Err(Error { operation, path, source: io::ErrorKind::InvalidInput.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_is_read_and_written_within_its_directory() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("sys/vm")).unwrap();
        fs::write(proc.path().join("sys/vm/swappiness"), "60\n").unwrap();
        write(proc.path(), "vm/swappiness", "1").unwrap();
        assert_eq!(read(proc.path(), "vm/swappiness").unwrap().as_deref(), Some("1"));
        assert_eq!(read(proc.path(), "net/ipv4/vs/conntrack").unwrap(), None);
        assert!(
            read(proc.path(), "../../etc/passwd").is_err()
                && write(proc.path(), "/tmp/x", "1").is_err()
        );
        assert_eq!(names(proc.path(), "vm"), ["swappiness"]);
    }
}
