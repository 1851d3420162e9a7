//! Processes that use files, read off `/proc` (`proc(5)`): as working or root directory, as
//! program, open, or mapped.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::control_groups::of_systemd;
use super::files::lstat;
use super::sockets::unit_of;

/// A process that uses something below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    pub command: String,
    /// The systemd unit that it belongs to; none outside of units.
    pub unit: Option<String>,
    /// Its control group in systemd's hierarchy.
    pub group: String,
    /// What it uses, as this machine sees it.
    pub path: PathBuf,
    /// How: the working directory, the root, the program, an open file, a mapped one.
    pub how: &'static str,
}

/// Processes other than this one that use what lies at or below one of these paths, each told once.
/// Only root sees the files of others; a process that ends meanwhile is passed over.
pub fn holders(proc: &Path, below: &[PathBuf]) -> Vec<Holder> {
    let below: Vec<PathBuf> = below.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    if below.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter()
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| holder(proc, pid, &below))
        .collect()
}

fn holder(proc: &Path, pid: u32, below: &[PathBuf]) -> Option<Holder> {
    let directory = proc.join(pid.to_string());
    let (path, how) = used(&directory, below)?;
    let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let cgroup = text("cgroup");
    let group = of_systemd(&cgroup).unwrap_or_default().to_owned();
    Some(Holder {
        pid,
        command: text("comm").trim_end().to_owned(),
        unit: unit_of(&cgroup),
        group,
        path,
        how,
    })
}

fn used(directory: &Path, below: &[PathBuf]) -> Option<(PathBuf, &'static str)> {
    let links =
        [("cwd", "has its working directory in"), ("root", "has its root in"), ("exe", "runs")];
    let fixed = links
        .into_iter()
        .find_map(|(link, how)| followed(&directory.join(link), below).map(|path| (path, how)));
    fixed
        .or_else(|| {
            let open = fs::read_dir(directory.join("fd")).into_iter().flatten().flatten();
            open.filter_map(|fd| followed(&fd.path(), below)).map(|path| (path, "has open")).next()
        })
        .or_else(|| {
            fs::read_to_string(directory.join("maps"))
                .ok()?
                .lines()
                .find_map(|line| mapped(line, below))
                .map(|p| (p, "has mapped"))
        })
}

/// Where a link of `/proc` leads, if that is below one of the paths and the very same thing:
/// another root or namespace has other files of that name.
fn followed(link: &Path, below: &[PathBuf]) -> Option<PathBuf> {
    let path = fs::read_link(link).ok().filter(|path| below.iter().any(|b| path.starts_with(b)))?;
    let (theirs, ours) = (fs::metadata(link).ok()?, lstat(&path).ok()??);
    ((theirs.dev(), theirs.ino()) == (ours.device, ours.inode)).then_some(path)
}

/// A line of `maps`: address, rights, offset, device, inode, path.
fn mapped(line: &str, below: &[PathBuf]) -> Option<PathBuf> {
    let path = PathBuf::from(line.get(line.find('/')?..)?);
    let inode: u64 = line.split_ascii_whitespace().nth(4)?.parse().ok()?;
    let is_below = below.iter().any(|b| path.starts_with(b));
    (is_below && lstat(&path).ok()??.inode == inode).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_with_working_directory_or_open_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (inside, other) = (directory.path().join("inside"), directory.path().join("other"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("log"), "x").unwrap();
        let log = fs::File::open(other.join("log")).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .current_dir(&inside)
            .stdin(log)
            .spawn()
            .unwrap();
        let find = |path: &Path| holders(Path::new("/proc"), &[path.to_owned()]);
        // Until the child is sleep, it is still us.
        while !find(&inside).iter().any(|h| h.command == "sleep") {
            std::thread::yield_now();
        }
        let (stands, reads, nothing) =
            (find(&inside), find(&other), find(&directory.path().join("none")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((stands[0].pid, stands[0].how), (child.id(), "has its working directory in"));
        assert_eq!(
            (reads[0].pid, reads[0].how, reads[0].path.file_name().unwrap().to_str()),
            (child.id(), "has open", Some("log"))
        );
        assert_eq!(nothing, []);
    }
}
