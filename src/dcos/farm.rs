//! The symlink tree of an active set: which links and directories stand below `bin`, `etc`,
//! `include`, `lib` and `dcos.target.wants` (`pkgpanda/__init__.py`, symlink_tree and
//! Install.activate).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::id::PackageId;
use super::layout;
use super::package::Package;
use super::role::Role;

/// What stands at one path of the farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A real directory, always 0755, merged from all packages that have it.
    Directory,
    /// An absolute link into the repository.
    Link {
        /// Where it points, as the node sees it.
        target: PathBuf,
    },
}

/// All entries by path relative to `/opt/mesosphere`, for example `bin/mesos-master`. Units are
/// below `dcos.target.wants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Farm {
    /// Sorted, so parents come before children.
    pub entries: BTreeMap<PathBuf, Entry>,
}

/// Two packages, or a package and its own role directory, want the same path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is in {first} and in {second}", path.display())]
pub struct Conflict {
    /// Relative to `/opt/mesosphere`.
    pub path: PathBuf,
    /// The package that has it first.
    pub first: PackageId,
    /// The package that also has it.
    pub second: PackageId,
}

impl Farm {
    /// Links all packages for one role. All conflicts are returned, not only the first.
    ///
    /// # Errors
    /// Every path that two packages claim, unless both claim it as a directory. (pkgpanda merges a
    /// directory *through* a link that another package made, and so writes into that package: here
    /// it is a conflict.)
    pub fn link(packages: &[Package], role: Role) -> Result<Farm, Vec<Conflict>> {
        let mut farm = Farm::default();
        let mut owner: BTreeMap<PathBuf, &PackageId> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for name in layout::WELL_KNOWN {
            farm.entries.insert(PathBuf::from(name), Entry::Directory);
        }
        for package in packages {
            for member in &package.members {
                let Some(top) = well_known(&member.top, role) else { continue };
                let path = Path::new(top).join(&member.path);
                let entry = if member.directory {
                    Entry::Directory
                } else {
                    Entry::Link {
                        target: layout::package(&package.id).join(&member.top).join(&member.path),
                    }
                };
                match farm.entries.get(&path) {
                    Some(Entry::Directory) if member.directory => {}
                    Some(_) => {
                        let first = owner.get(&path).copied().unwrap_or(&package.id).clone();
                        conflicts.push(Conflict { path, first, second: package.id.clone() });
                    }
                    None => {
                        owner.insert(path.clone(), &package.id);
                        farm.entries.insert(path, entry);
                    }
                }
            }
        }
        if conflicts.is_empty() { Ok(farm) } else { Err(conflicts) }
    }

    /// The units of the role: name and where the package has the file.
    pub fn units(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let wants = Path::new("dcos.target.wants");
        self.entries.iter().filter_map(move |(path, entry)| match entry {
            Entry::Link { target } => {
                path.strip_prefix(wants).ok().map(|name| (name, target.as_path()))
            }
            Entry::Directory => None,
        })
    }

    /// The entries of one name, with paths relative to it; the name itself is not among them.
    pub fn below<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Path, &'a Entry)> {
        self.entries.iter().filter_map(move |(path, entry)| {
            let rest = path.strip_prefix(name).ok()?;
            (!rest.as_os_str().is_empty()).then_some((rest, entry))
        })
    }
}

/// The well-known directory that a directory of a package feeds: `etc` and, for a master,
/// `etc_master` feed `etc`.
fn well_known(top: &str, role: Role) -> Option<&'static str> {
    layout::WELL_KNOWN.into_iter().find(|name| {
        top == *name
            || top.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')) == Some(role.word())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::package::Member;
    use crate::dcos::pkginfo::PackageInfo;

    fn package(id: &str, members: &[&str]) -> Package {
        let members = members.iter().map(|text| {
            let (top, path) = text.split_once('/').unwrap();
            Member {
                top: top.into(),
                path: path.trim_end_matches('/').into(),
                directory: text.ends_with('/'),
            }
        });
        Package {
            id: id.parse().unwrap(),
            info: PackageInfo::default(),
            buildinfo: None,
            members: members.collect(),
            services: vec![],
        }
    }

    #[test]
    fn directories_merge_and_only_the_own_role_counts() {
        let farm = Farm::link(
            &[
                package("a--1", &["lib/py/", "lib/py/x", "etc_master/m"]),
                package("b--1", &["lib/py/", "lib/py/y", "etc_slave/s", "bin_slave_public/p"]),
            ],
            Role::Slave,
        )
        .unwrap();
        assert_eq!(farm.entries[Path::new("lib/py")], Entry::Directory);
        assert_eq!(
            farm.entries[Path::new("lib/py/y")],
            Entry::Link { target: "/opt/mesosphere/packages/b--1/lib/py/y".into() }
        );
        assert!(farm.entries.contains_key(Path::new("etc/s")));
        assert!(
            !farm.entries.contains_key(Path::new("etc/m"))
                && !farm.entries.contains_key(Path::new("bin/p"))
        );
    }

    #[test]
    fn every_conflict_is_reported_with_both_packages() {
        let conflicts = Farm::link(
            &[
                package("a--1", &["bin/x", "etc/d/", "lib/l"]),
                package("b--1", &["bin/x", "etc/d", "lib/l/"]),
            ],
            Role::Slave,
        )
        .unwrap_err();
        assert_eq!(conflicts.len(), 3);
        assert_eq!(conflicts[0].to_string(), "bin/x is in a--1 and in b--1");
    }

    #[test]
    fn a_package_may_clash_with_its_own_role_directory() {
        assert_eq!(
            Farm::link(&[package("a--1", &["etc/x", "etc_master/x"])], Role::Master)
                .unwrap_err()
                .len(),
            1
        );
        assert!(Farm::link(&[package("a--1", &["etc/x", "etc_master/x"])], Role::Slave).is_ok());
    }
}
