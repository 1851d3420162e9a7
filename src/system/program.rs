//! Which programs are run: a short list of the machine's own, and scripts. Nothing else can be put
//! into a [`super::process::Command`].

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// A program of the machine that is run. All else that changes the machine goes through system
/// calls, netlink and D-Bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Makes a user.
    Useradd,
    /// Removes a user.
    Userdel,
    /// Makes a group.
    Groupadd,
    /// Removes a group.
    Groupdel,
    /// The packet filter's program for IPv4.
    Iptables,
    /// The same for IPv6.
    Ip6tables,
    /// [`Tool::Iptables`] by the name that it has for the tables of its older flavour: one program
    /// of one package has all these names, and where the plain one means the newer flavour, this
    /// one shows what the kernel has of the older.
    IptablesLegacy,
    /// The same for IPv6.
    Ip6tablesLegacy,
    /// The same program by its name for the newer flavour, where the plain one means the older.
    IptablesNft,
    /// The same for IPv6.
    Ip6tablesNft,
    /// The packet filter's program for sets of addresses.
    Ipset,
    /// Gives files the labels of SELinux' policy.
    Restorecon,
}

impl Tool {
    /// The name of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Tool::Useradd => "useradd",
            Tool::Userdel => "userdel",
            Tool::Groupadd => "groupadd",
            Tool::Groupdel => "groupdel",
            Tool::Iptables => "iptables",
            Tool::Ip6tables => "ip6tables",
            Tool::IptablesLegacy => "iptables-legacy",
            Tool::Ip6tablesLegacy => "ip6tables-legacy",
            Tool::IptablesNft => "iptables-nft",
            Tool::Ip6tablesNft => "ip6tables-nft",
            Tool::Ipset => "ipset",
            Tool::Restorecon => "restorecon",
        }
    }

    /// Its file in the first of these directories (as in `$PATH`) that has it.
    pub fn find(self, path: &str) -> Option<Program> {
        find(self.name(), path).map(Program)
    }
}

/// A file that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// A script of a build or of an operator, or what such a script names as its interpreter. Who
    /// may say so is a rule of `tests/suite/architecture.rs`.
    pub fn script(file: impl Into<PathBuf>) -> Program {
        Program(file.into())
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.0
    }
}

/// The file that `program` means: itself if it has a slash, else the first executable one in the
/// directories of `path` (as in `$PATH`).
///
/// Relative and empty parts of `path` are passed over: they would mean something else in the next
/// directory.
pub fn find(program: &str, path: &str) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    path.split(':')
        .filter(|part| part.starts_with('/'))
        .map(|part| Path::new(part).join(program))
        .find(is_program)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn programs_are_found_in_path() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("first"), root.path().join("second"));
        fs::create_dir_all(first.join("ipset")).unwrap(); // a directory of that name is none
        fs::create_dir(&second).unwrap();
        fs::write(second.join("ipset"), "").unwrap();
        let path = format!("relative::{}:{}", first.display(), second.display());
        assert_eq!(Tool::Ipset.find(&path), None);
        fs::set_permissions(second.join("ipset"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Tool::Ipset.find(&path), Some(Program(second.join("ipset"))));
        assert_eq!(find(second.join("ipset").to_str().unwrap(), ""), Some(second.join("ipset")));
        assert_eq!(find("./no/ipset", &path), None);
    }
}
