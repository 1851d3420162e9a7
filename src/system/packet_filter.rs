//! The packet filter through its programs: `iptables`, `ip6tables` and `ipset`, whichever flavour
//! of them the machine has.
//!
//! A rule is the line that `iptables -S` prints; [`words`] takes it apart as the program quoted it.

use std::path::Path;
use std::time::Duration;

use super::files;
use super::process::{self, Command, Output};
use super::program::{Program, Tool};

/// The programs for IPv4 and IPv6.
pub const PROGRAMS: [&str; 2] = [Tool::Iptables.name(), Tool::Ip6tables.name()];
/// The same by their names for the older and the newer flavour.
const FLAVOURS: [[Tool; 3]; 2] = [
    [Tool::Iptables, Tool::IptablesLegacy, Tool::IptablesNft],
    [Tool::Ip6tables, Tool::Ip6tablesLegacy, Tool::Ip6tablesNft],
];
/// The program for sets of addresses.
pub const SETS: &str = Tool::Ipset.name();
/// The programs wait for the lock that they all take (`-w`); a firewall with thousands of rules
/// takes seconds to load.
const LIMIT: Duration = Duration::from_secs(90);

/// Why a program did not tell or do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or is none of the packet filter's.
    #[error("the program {0} is not on this machine")]
    Missing(String),
    /// It could not be run to its end.
    #[error(transparent)]
    Run(#[from] process::Error),
    /// It failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// The last lines of its standard error.
        said: String,
    },
    /// A list was longer than we read.
    #[error("{0} printed more than can be read")]
    TooLong(String),
    /// The kernel's list of tables cannot be read.
    #[error("cannot read the names of the tables")]
    Tables(#[from] files::Error),
}

/// Where programs are looked for, and where the kernel's tables are mounted.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Directories, as in `$PATH`.
    pub path: &'a str,
    /// `/proc` of the node.
    pub proc: &'a Path,
}

/// The rules and chains of a table, one a line, as `-S` prints them; none if the program or the
/// table is not there.
///
/// # Errors
/// The program fails for another reason.
pub async fn rules(place: Place<'_>, program: &str, table: &str) -> Result<Vec<String>, Error> {
    if find(place, program).is_none() || !has_table(place, program, table).await? {
        return Ok(Vec::new());
    }
    lines(place, program, &["-w", "-t", table, "-S"]).await
}

/// To list a table of the older flavour would make it, so only those that the kernel has are asked
/// for. The newer one makes none.
async fn has_table(place: Place<'_>, program: &str, table: &str) -> Result<bool, Error> {
    Ok(is_newer(place, program).await?
        || older_tables(place, program)?.iter().any(|name| name == table))
}

/// What one of [`PROGRAMS`] does not show: the tables of the flavour that it is not of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Others {
    /// There are none.
    None,
    /// It shows them by this other name.
    Shown(&'static str),
    /// They are of the older flavour, and the name that shows them is not there.
    Unseen(&'static str, Vec<String>),
}

/// Looks what a program does not show; nothing without the program.
///
/// # Errors
/// The program does not tell its version, or the kernel's list cannot be read.
pub async fn others(place: Place<'_>, program: &str) -> Result<Others, Error> {
    let Some([_, older, newer]) = FLAVOURS.into_iter().find(|names| names[0].name() == program)
    else {
        return Ok(Others::None);
    };
    if find(place, program).is_none() {
        return Ok(Others::None);
    }
    if !is_newer(place, program).await? {
        // Where the kernel's part of the newer flavour is not loaded, to ask would load it.
        let shows = newer.find(place.path).is_some() && has_newer(place)?;
        return Ok(if shows { Others::Shown(newer.name()) } else { Others::None });
    }
    let tables = older_tables(place, program)?;
    Ok(match older.find(place.path) {
        _ if tables.is_empty() => Others::None,
        Some(_) => Others::Shown(older.name()),
        None => Others::Unseen(older.name(), tables),
    })
}

fn has_newer(place: Place<'_>) -> Result<bool, Error> {
    let loaded = files::read(&place.proc.join("modules"), 16 << 20)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&loaded).lines().any(|line| line.starts_with("nf_tables ")))
}

async fn is_newer(place: Place<'_>, program: &str) -> Result<bool, Error> {
    let version = run(place, program, &["--version"]).await?;
    Ok(String::from_utf8_lossy(&version.stdout.bytes).contains("nf_tables"))
}

fn older_tables(place: Place<'_>, program: &str) -> Result<Vec<String>, Error> {
    let names = if program.starts_with(Tool::Ip6tables.name()) {
        "net/ip6_tables_names"
    } else {
        "net/ip_tables_names"
    };
    let names = files::read(&place.proc.join(names), 64 << 10)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&names).lines().map(str::to_owned).collect())
}

/// Removes one rule, given as a line of [`rules`] that begins with `-A`.
///
/// # Errors
/// It is not there (any more), or the program fails.
pub async fn remove_rule(
    place: Place<'_>,
    program: &str,
    table: &str,
    rule: &str,
) -> Result<(), Error> {
    let words = words(rule).unwrap_or_default();
    let mut arguments = vec!["-w", "-t", table];
    arguments.extend(words.iter().map(|word| if word == "-A" { "-D" } else { word.as_str() }));
    must(place, program, &arguments).await
}

/// Empties and removes a chain that no rule leads to.
///
/// # Errors
/// The program fails.
pub async fn remove_chain(
    place: Place<'_>,
    program: &str,
    table: &str,
    chain: &str,
) -> Result<(), Error> {
    must(place, program, &["-w", "-t", table, "-F", chain]).await?;
    must(place, program, &["-w", "-t", table, "-X", chain]).await
}

/// The names of all sets; none without the program.
///
/// # Errors
/// The program fails.
pub async fn sets(place: Place<'_>) -> Result<Vec<String>, Error> {
    if find(place, SETS).is_none() {
        return Ok(Vec::new());
    }
    lines(place, SETS, &["list", "-name"]).await
}

/// Removes a set that no rule uses.
///
/// # Errors
/// The program fails.
pub async fn remove_set(place: Place<'_>, name: &str) -> Result<(), Error> {
    must(place, SETS, &["destroy", name]).await
}

/// The words of a line as the programs quote them: in double quotes, with a backslash before quotes
/// and backslashes. None if a quote does not end.
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

async fn lines(place: Place<'_>, program: &str, arguments: &[&str]) -> Result<Vec<String>, Error> {
    let output = run(place, program, arguments).await?;
    // Its pipe was closed then, so that it failed too.
    if output.stdout.truncated {
        return Err(Error::TooLong(told(program, arguments)));
    }
    judge(&output, program, arguments)?;
    Ok(String::from_utf8_lossy(&output.stdout.bytes)
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

async fn must(place: Place<'_>, program: &str, arguments: &[&str]) -> Result<(), Error> {
    judge(&run(place, program, arguments).await?, program, arguments)
}

/// A program by its name, which a record may have: of the packet filter's and no other.
fn find(place: Place<'_>, program: &str) -> Option<Program> {
    FLAVOURS
        .into_iter()
        .flatten()
        .chain([Tool::Ipset])
        .find(|tool| tool.name() == program)?
        .find(place.path)
}

async fn run(place: Place<'_>, program: &str, arguments: &[&str]) -> Result<Output, Error> {
    let file = find(place, program).ok_or_else(|| Error::Missing(program.to_owned()))?;
    let env = vec![("PATH".into(), place.path.into()), ("LC_ALL".into(), "C".into())];
    let command = Command { program: file, args: arguments.iter().map(Into::into).collect(), env };
    Ok(process::run_whole(&command, LIMIT).await?)
}

fn judge(output: &Output, program: &str, arguments: &[&str]) -> Result<(), Error> {
    if output.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr.bytes).into_owned();
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    let said = last.into_iter().rev().map(str::trim).collect::<Vec<_>>().join("; ");
    Err(Error::Failed { command: told(program, arguments), said })
}

fn told(program: &str, arguments: &[&str]) -> String {
    format!("{program} {}", arguments.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process::tests::write_program;

    #[test]
    fn rule_line_is_split_by_its_quotes() {
        let line = r#"-A OUTPUT -m comment --comment "Skip DC/OS L4LB traffic" -m comment --comment "a \"b\" \\ c" --log-prefix "" -j RETURN"#;
        let words = words(line).unwrap();
        assert_eq!(words[5], "Skip DC/OS L4LB traffic");
        assert_eq!((words[9].as_str(), words[11].as_str(), words.len()), ("a \"b\" \\ c", "", 14));
    }

    #[test]
    fn unterminated_quote_gives_no_arguments() {
        for hostile in ["-A X --comment \"", "-A X --comment \"a\\", "\\"] {
            assert_eq!(words(hostile), None, "{hostile}");
        }
        assert_eq!(words("   "), Some(Vec::new()));
    }

    /// A program that prints what it was asked for, and the kernel's names of tables, if the older
    /// flavour has any.
    fn machine(version: &str, printed: &str, tables: Option<&str>) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            "#!/bin/sh\n\
             [ $1 = --version ] && echo '{version}' && exit\n\
             echo \"$@\" >> {}/asked\n\
             {printed}\n",
            directory.path().display()
        );
        write_program(&directory.path().join("iptables"), &script);
        std::fs::create_dir(directory.path().join("net")).unwrap();
        if let Some(tables) = tables {
            std::fs::write(directory.path().join("net/ip_tables_names"), tables).unwrap();
        }
        directory
    }

    async fn nat(machine: &tempfile::TempDir) -> Result<Vec<String>, Error> {
        let path = format!("{}:/usr/bin:/bin", machine.path().display());
        rules(Place { path: &path, proc: machine.path() }, "iptables", "nat").await
    }

    #[tokio::test]
    async fn reading_does_not_create_a_legacy_table() {
        let (older, newer, prints) = (
            "iptables v1.8.9 (legacy)",
            "iptables v1.8.9 (nf_tables)",
            "echo '-P INPUT ACCEPT'; echo; echo '-N X'",
        );
        for (version, tables, expected) in [
            (older, None, 0),
            (older, Some("filter\n"), 0),
            (older, Some("filter\nnat\n"), 2),
            ("iptables v1.4.21", None, 0),
            (newer, None, 2),
            (newer, Some("nat\nfilter\n"), 2),
        ] {
            let machine = machine(version, prints, tables);
            assert_eq!(nat(&machine).await.unwrap().len(), expected, "{version} {tables:?}");
            assert_eq!(machine.path().join("asked").exists(), expected > 0, "{version} {tables:?}");
            let unseen = matches!(others_of(&machine).await, Others::Unseen("iptables-legacy", _));
            assert_eq!(unseen, version == newer && tables.is_some(), "{version} {tables:?}");
        }
    }

    async fn others_of(machine: &tempfile::TempDir) -> Others {
        // Nothing of this machine: it may have the other names too.
        let path = machine.path().display().to_string();
        others(Place { path: &path, proc: machine.path() }, "iptables").await.unwrap()
    }

    #[tokio::test]
    async fn tables_of_the_other_flavour_need_the_other_program() {
        let name = |machine: &tempfile::TempDir, name: &str| {
            write_program(
                &machine.path().join(name),
                "#!/bin/sh\necho 'iptables v1.8.9 (legacy)'\n",
            );
        };
        let newer = machine("iptables v1.8.9 (nf_tables)", "exit 1", Some("nat\n"));
        name(&newer, "iptables-nft");
        assert_eq!(others_of(&newer).await, Others::Unseen("iptables-legacy", vec!["nat".into()]));
        name(&newer, "iptables-legacy");
        assert_eq!(others_of(&newer).await, Others::Shown("iptables-legacy"));
        // It is the older flavour by that name, and asks for what the kernel has alone.
        let path = format!("{}:/usr/bin:/bin", newer.path().display());
        let place = Place { path: &path, proc: newer.path() };
        assert_eq!(rules(place, "iptables-legacy", "filter").await.unwrap(), Vec::<String>::new());
        assert_eq!(
            rules(place, "iptables-legacy", "nat").await.unwrap(),
            ["iptables v1.8.9 (legacy)"]
        );
        let older = machine("iptables v1.8.9 (legacy)", "exit 1", Some("nat\n"));
        name(&older, "iptables-legacy");
        name(&older, "iptables-nft");
        assert_eq!(
            others_of(&older).await,
            Others::None,
            "the kernel has nothing of the newer flavour loaded"
        );
        std::fs::write(
            older.path().join("modules"),
            "nf_tables 249856 0 - Live 0x0000000000000000\n",
        )
        .unwrap();
        assert_eq!(others_of(&older).await, Others::Shown("iptables-nft"));
    }

    #[tokio::test]
    async fn failing_or_verbose_program_is_a_named_error() {
        let newer = "iptables v1.8.9 (nf_tables)";
        let failing =
            nat(&machine(newer, "echo 'line one' >&2; echo 'no chain' >&2; exit 4", None))
                .await
                .unwrap_err();
        assert_eq!(failing.to_string(), "iptables -w -t nat -S failed: line one; no chain");
        let flood =
            nat(&machine(newer, "head -c 5000000 /dev/zero | tr '\\0' x", None)).await.unwrap_err();
        assert!(matches!(flood, Error::TooLong(_)), "{flood}");
    }

    #[tokio::test]
    async fn a_machine_without_the_programs_has_no_rules() {
        let place = Place { path: "/nonexistent", proc: Path::new("/proc") };
        assert!(rules(place, "iptables", "nat").await.unwrap().is_empty());
        assert!(sets(place).await.unwrap().is_empty());
    }
}
