//! The golden record: what the classic installer left on a node, relative to the node before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::pattern;
use super::snapshot::{Accounts, Entry};

/// One file of `fixtures/reference/golden/`; the README beside them says how they were made.
#[derive(Deserialize)]
pub struct Golden {
    pub(super) areas: Vec<String>,
    owned: Vec<String>,
    owned_patterns: Vec<String>,
    pub(super) created: BTreeMap<String, Entry>,
    pub(super) changed: BTreeMap<String, Entry>,
    pub(super) removed: Vec<String>,
    pub(super) texts: BTreeMap<String, Recorded>,
    pub(super) accounts: Accounts,
    pub(super) units: BTreeMap<String, Entry>,
}

/// A text whose bytes differ from run to run.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Recorded {
    /// The text itself.
    Whole(String),
    /// The variables of each package, sorted; those before the first package are under "".
    ByPackage(BTreeMap<String, Vec<String>>),
}

impl Golden {
    /// Reads a record; a relative path counts from the root of the project.
    #[track_caller]
    pub fn read(path: impl AsRef<Path>) -> Golden {
        let path = crate::checkout().join(path);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path:?}: {error}"));
        Golden::parse(&text)
    }

    /// A record as text.
    #[track_caller]
    pub fn parse(text: &str) -> Golden {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("a golden record: {error}"))
    }

    /// True for paths that carry DC/OS' names.
    pub(super) fn owns(&self, name: &str) -> bool {
        let below = |top: &String| {
            name.strip_prefix(top.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.owned.iter().any(below)
            || self.owned_patterns.iter().any(|wanted| pattern::matches(wanted, name))
    }
}

/// An environment file by package; comments and order do not count.
pub(super) fn by_package(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut packages = BTreeMap::from([(String::new(), Vec::new())]);
    let mut here = String::new();
    for line in text.lines() {
        if let Some(package) = line.strip_prefix("# package: ") {
            here = package.to_owned();
            packages.insert(here.clone(), Vec::new());
        } else if !line.is_empty() && !line.starts_with('#') {
            packages.get_mut(&here).expect("the package was just inserted").push(line.to_owned());
        }
    }
    packages.values_mut().for_each(|lines| lines.sort());
    packages
}
