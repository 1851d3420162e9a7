//! A node as the comparison sees it: its files, and while it runs, the states of its units.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::node::Node;
use super::snapshot::Entry;

/// The states of units, by name.
pub type Units = BTreeMap<String, Entry>;

const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,Result";
/// How long a node may take to come to rest: DC/OS' units poll for each other every few seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// What there is to compare.
pub struct Seen {
    pub(super) root: PathBuf,
    pub(super) units: Option<Units>,
}

impl Seen {
    /// A directory that an install with `--root` filled. Units have no states there.
    pub fn in_directory(root: &Path) -> Seen {
        Seen { root: root.to_owned(), units: None }
    }

    /// A running node, with its units as they are now.
    #[track_caller]
    pub fn now(node: &Node) -> Seen {
        Seen { root: node.root(), units: Some(units(node)) }
    }

    /// A running node, when it has become what is wanted; if it does not, as it is in the end.
    #[track_caller]
    pub fn at_rest(node: &Node, is_wanted: impl Fn(&Seen) -> bool) -> Seen {
        let began = Instant::now();
        loop {
            let seen = Seen::now(node);
            if is_wanted(&seen) || began.elapsed() > PATIENCE {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// All units with DC/OS' names, loaded or not.
#[track_caller]
fn units(node: &Node) -> Units {
    let list = "{ systemctl list-units --all --plain --no-legend 'dcos*'; systemctl \
                list-unit-files --no-legend 'dcos*'; } | cut -d' ' -f1 | sort -u";
    let list = node.shell(list);
    let names: Vec<&str> = list.succeeds().stdout().lines().collect();
    if names.is_empty() {
        return Units::new();
    }
    let states = node.run(
        &[["systemctl", "show", "--all", "--property", PROPERTIES].as_slice(), &names].concat(),
    );
    states.succeeds().stdout().split("\n\n").filter_map(unit).collect()
}

/// One paragraph of `systemctl show`.
fn unit(paragraph: &str) -> Option<(String, Entry)> {
    let fields = paragraph.lines().filter_map(|line| line.split_once('='));
    let mut fields: Entry = fields.map(|(field, value)| (field.to_owned(), json!(value))).collect();
    let name = fields.remove("Id")?.as_str()?.to_owned();
    Some((name, fields))
}
