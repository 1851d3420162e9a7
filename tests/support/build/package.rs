//! A package as a fixture directory describes it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::derived::list;
use super::{Entry, Kind, Owner, Package};

impl Package {
    pub(super) fn read(dir: &Path) -> Package {
        let mut package = Package::default();
        package.read_tree(dir, Path::new(""));
        if let Some(Entry { kind: Kind::File(text), .. }) =
            package.entries.remove(Path::new(".entries"))
        {
            let text = String::from_utf8(text)
                .unwrap_or_else(|_| panic!("{}/.entries: not UTF-8", dir.display()));
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                package
                    .apply(line)
                    .unwrap_or_else(|| panic!("{}/.entries: cannot read {line:?}", dir.display()));
            }
        }
        package.add_parents();
        package
    }

    pub(super) fn read_tree(&mut self, dir: &Path, below: &Path) {
        for name in list(dir) {
            let (source, path) = (dir.join(&name), below.join(&name));
            let metadata = std::fs::symlink_metadata(&source)
                .unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            if metadata.is_dir() {
                self.read_tree(&source, &path);
                continue;
            }
            assert!(metadata.is_file(), "{}: links belong into .entries", source.display());
            let content =
                std::fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            let mut entry = Entry::new(Kind::File(content));
            entry.mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            self.entries.insert(path, entry);
        }
    }

    /// One line of `.entries`.
    pub(super) fn apply(&mut self, line: &str) -> Option<()> {
        let (verb, rest) = line.split_once(' ')?;
        if let "symlink" | "hardlink" = verb {
            let (path, target) = rest.split_once(" -> ")?;
            let kind = if verb == "symlink" {
                Kind::Symlink(target.into())
            } else {
                Kind::HardLink(target.into())
            };
            self.entries.insert(path.into(), Entry::new(kind));
            return Some(());
        }
        let (argument, path) = rest.split_once(' ')?;
        if verb == "dir" {
            let mut entry = Entry::new(Kind::Directory);
            entry.mode = u32::from_str_radix(argument, 8).ok()?;
            self.entries.insert(path.into(), entry);
            return Some(());
        }
        let entry = self.entries.get_mut(Path::new(path))?;
        match verb {
            "mode" => entry.mode = u32::from_str_radix(argument, 8).ok()?,
            "owner" => entry.owner = Owner::parse(argument)?,
            "when" => {
                entry.when =
                    argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn add_parents(&mut self) {
        let parents: BTreeSet<PathBuf> = self
            .entries
            .keys()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|dir| !dir.as_os_str().is_empty())
            .map(Path::to_owned)
            .collect();
        for dir in parents {
            self.entries.entry(dir).or_insert_with(|| Entry::new(Kind::Directory));
        }
    }

    pub(super) fn file(&self, path: &str) -> Option<&[u8]> {
        match &self.entries.get(Path::new(path))?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    /// Of everything that the package is made from.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (path, entry) in &self.entries {
            let Owner { user, group } = &entry.owner;
            digest.update(path.as_os_str().as_bytes());
            digest.update(format!("\0{:o} {user:?} {group:?} {:?}\0", entry.mode, entry.when));
            let (kind, content) = match &entry.kind {
                Kind::Directory => ("directory", [].as_slice()),
                Kind::File(content) => ("file", content.as_slice()),
                Kind::Symlink(target) => ("symlink", target.as_os_str().as_bytes()),
                Kind::HardLink(target) => ("hard link", target.as_os_str().as_bytes()),
            };
            digest.update(format!("{kind} {}\0", content.len()));
            digest.update(content);
        }
        digest.finalize().into()
    }
}

impl Entry {
    pub(super) fn new(kind: Kind) -> Entry {
        let mode = match kind {
            Kind::Directory => 0o755,
            Kind::Symlink(_) => 0o777,
            Kind::File(_) | Kind::HardLink(_) => 0o644,
        };
        Entry { kind, mode, owner: Owner::root(), when: None }
    }
}

impl Owner {
    pub(super) fn root() -> Owner {
        Owner { user: ("root".into(), 0), group: ("root".into(), 0) }
    }

    /// `user:group`, each a number, or `name=number`.
    pub(super) fn parse(text: &str) -> Option<Owner> {
        let one = |text: &str| {
            let (name, number) = text.split_once('=').unwrap_or(("", text));
            Some((name.to_owned(), number.parse().ok()?))
        };
        let (user, group) = text.split_once(':')?;
        Some(Owner { user: one(user)?, group: one(group)? })
    }
}
