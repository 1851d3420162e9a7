//! The little of a unit file that the fake acts on.

use std::path::{Path, PathBuf};

use super::super::Command;

/// What a unit's file says, or why it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnitFile {
    /// `LoadState`.
    pub(super) load: &'static str,
    pub(super) description: String,
    pub(super) oneshot: bool,
    pub(super) remain_after_exit: bool,
    /// `Restart=`
    pub(super) restart: String,
    /// `Wants=`, and the links in the directories `.wants`.
    pub(super) wants: Vec<String>,
    /// `Requires=`, and the links in the directories `.requires`.
    pub(super) requires: Vec<String>,
    pub(super) part_of: Vec<String>,
    pub(super) start_pre: Vec<Command>,
}

/// Where units lie under `root`.
pub(super) fn directory(root: &Path) -> PathBuf {
    root.join("etc/systemd/system")
}

/// The file that defines `name` under `root`: its own or its template's; the links that systemd
/// follows are followed within `root`.
pub(super) fn find(root: &Path, name: &str) -> Option<PathBuf> {
    let template = name
        .split_once('@')
        .and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
    [Some(name.to_owned()), template]
        .into_iter()
        .flatten()
        .map(|name| directory(root).join(name))
        .find(|path| path.is_symlink() || path.exists())
}

/// Where a link leads, as it is written; none for what is no link.
pub(super) fn link_target(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Reads the unit `name` and the links of others to it.
pub(super) fn read(root: &Path, name: &str) -> UnitFile {
    let none = |load| UnitFile { load, description: name.to_owned(), ..UnitFile::default() };
    let Some(mut path) = find(root, name) else { return none("not-found") };
    if let Some(target) = link_target(&path) {
        if target == Path::new("/dev/null") {
            return none("masked");
        }
        path = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => directory(root).join(target),
        };
    }
    let Ok(text) = std::fs::read_to_string(path) else { return none("not-found") };
    let mut unit = parse(name, &text);
    unit.wants.extend(links(root, name, "wants"));
    unit.requires.extend(links(root, name, "requires"));
    unit
}

fn parse(name: &str, text: &str) -> UnitFile {
    let mut unit = UnitFile { load: "loaded", description: name.to_owned(), ..UnitFile::default() };
    let mut starts = 0;
    let text = text.replace("\\\n", " ");
    for (key, value) in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
    {
        let (key, value) = (key.trim(), value.trim());
        let words = || value.split_whitespace().map(str::to_owned);
        match key {
            "Description" => unit.description = value.to_owned(),
            "Type" => unit.oneshot = value == "oneshot",
            "Restart" => unit.restart = value.to_owned(),
            "RemainAfterExit" => {
                unit.remain_after_exit = matches!(value, "yes" | "true" | "on" | "1")
            }
            "Wants" => unit.wants.extend(words()),
            "Requires" => unit.requires.extend(words()),
            "PartOf" => unit.part_of.extend(words()),
            "ExecStart" | "ExecStartPre" => {
                let command = command(value);
                if !command.path.is_absolute() {
                    unit.load = "bad-setting";
                }
                if key == "ExecStartPre" {
                    unit.start_pre.push(command);
                } else {
                    starts += 1;
                }
            }
            _ => {}
        }
    }
    if name.ends_with(".service") && starts == 0 {
        unit.load = "bad-setting";
    }
    unit
}

fn command(line: &str) -> Command {
    let bare = line.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let ignore_failure =
        line.get(..line.len() - bare.len()).is_some_and(|prefix| prefix.contains('-'));
    let argv: Vec<String> = bare.split_whitespace().map(str::to_owned).collect();
    Command {
        path: argv.first().map(PathBuf::from).unwrap_or_default(),
        argv,
        ignore_failure,
        ..Command::default()
    }
}

/// The names in the unit's directory of this kind, sorted.
fn links(root: &Path, name: &str, kind: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory(root).join(format!("{name}.{kind}")));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_parsed() {
        let text = "[Unit]\nDescription = A\n# Wants=no\nWants=b.service \\\n  \
                    c.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                    ExecStartPre=-/bin/false x\nExecStart=@/bin/true true\n";
        let unit = parse("a.service", text);
        assert_eq!(
            (unit.load, unit.description.as_str(), unit.oneshot, unit.remain_after_exit),
            ("loaded", "A", true, true)
        );
        assert_eq!(unit.wants, ["b.service", "c.service"]);
        let pre = unit.start_pre.first().unwrap();
        assert_eq!(
            (pre.path.as_path(), pre.argv.as_slice(), pre.ignore_failure),
            (Path::new("/bin/false"), &["/bin/false".to_owned(), "x".to_owned()][..], true)
        );
    }

    #[test]
    fn service_without_a_command_is_invalid() {
        assert_eq!(parse("a.service", "[Service]\n").load, "bad-setting");
        assert_eq!(parse("a.service", "[Service]\nExecStart=true\n").load, "bad-setting");
        assert_eq!(parse("a.target", "[Unit]\n").load, "loaded");
    }
}
