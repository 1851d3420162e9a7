//! What of two builds differs, for the one sentence that an operator needs, and the values by which
//! they see it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::build::Build;
use super::id::PackageId;

/// What distinguishes two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Other software.
    Release,
    /// The same software, configured otherwise.
    Configuration,
    /// Both.
    ReleaseAndConfiguration,
}

/// How the build of a node and an offered one differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// In one word.
    pub difference: Difference,
    /// By which values, as far as both sides are known; never none.
    pub values: Vec<Pair>,
    /// How many packages of the release besides the one among the values.
    pub more_packages: usize,
}

/// One value of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// What has it.
    pub what: What,
    /// Of the node.
    pub here: String,
    /// Of the offered build.
    pub offered: String,
}

/// What of a build has a value to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The id of the bootstrap archive.
    BootstrapId,
    /// The id of the cluster package list.
    PackageList,
    /// The SHA-256 of the build index.
    BuildDigest,
    /// The package with the cluster's configuration.
    Configuration,
    /// The first package of the release.
    Package,
}

impl Contrast {
    /// Compares the active set of a node with a build; none if they are the same. What is recorded
    /// of the node's own build counts while that is what is active. Packages made from the
    /// configuration have a version that begins with `setup_`.
    pub fn between(
        active: &BTreeSet<PackageId>,
        recorded: Option<&Build>,
        offered: &Build,
    ) -> Option<Contrast> {
        let theirs = offered.active();
        let mut packages: BTreeMap<&str, (Option<&PackageId>, Option<&PackageId>)> =
            BTreeMap::new();
        active
            .difference(&theirs)
            .for_each(|id| packages.entry(id.name()).or_default().0 = Some(id));
        theirs
            .difference(active)
            .for_each(|id| packages.entry(id.name()).or_default().1 = Some(id));
        let is_made =
            |id: Option<&PackageId>| id.is_some_and(|id| id.version().starts_with("setup_"));
        let (configuration, release): (Vec<_>, Vec<_>) =
            packages.into_values().partition(|(here, there)| is_made(*here) || is_made(*there));
        let difference = match (release.is_empty(), configuration.is_empty()) {
            (true, true) => return None,
            (false, true) => Difference::Release,
            (true, false) => Difference::Configuration,
            (false, false) => Difference::ReleaseAndConfiguration,
        };
        let known = |id: &String| Some(id.clone()).filter(|id| !id.is_empty());
        let recorded = recorded.filter(|build| build.active() == *active).map(|build| {
            let pair = |what, here: Option<String>, offered: Option<String>| {
                Some(Pair { what, here: here?, offered: offered? })
            };
            [
                pair(What::BootstrapId, known(&build.bootstrap_id), known(&offered.bootstrap_id)),
                pair(
                    What::PackageList,
                    known(&build.package_list_id),
                    known(&offered.package_list_id),
                ),
                pair(What::BuildDigest, build.index_sha256.clone(), offered.index_sha256.clone()),
            ]
        });
        let id = |id: Option<&PackageId>| id.map_or_else(|| "none".to_owned(), ToString::to_string);
        let first = |what, list: &[(Option<&PackageId>, Option<&PackageId>)]| {
            list.first().map(|(here, there)| Pair { what, here: id(*here), offered: id(*there) })
        };
        let of_packages =
            [first(What::Configuration, &configuration), first(What::Package, &release)];
        let values = recorded
            .into_iter()
            .flatten()
            .chain(of_packages)
            .flatten()
            .filter(|pair| pair.here != pair.offered)
            .collect();
        Some(Contrast { difference, values, more_packages: release.len().saturating_sub(1) })
    }
}

/// The clause that says so.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Difference::Release => "the release differs",
            Difference::Configuration => "the configuration differs",
            Difference::ReleaseAndConfiguration => "the release and the configuration differ",
        })
    }
}

/// Both values, one below the other.
impl fmt::Display for Contrast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.difference)?;
        let sides: [(_, Vec<&String>); 2] = [
            ("here:", self.values.iter().map(|pair| &pair.here).collect()),
            ("offered:", self.values.iter().map(|pair| &pair.offered).collect()),
        ];
        for (side, values) in sides {
            for (index, (pair, value)) in self.values.iter().zip(values).enumerate() {
                write!(
                    f,
                    "\n  {:8} {:13} {value}",
                    if index == 0 { side } else { "" },
                    pair.what.words()
                )?;
            }
        }
        match self.more_packages {
            0 => Ok(()),
            1 => write!(f, "\n  1 more package differs"),
            more => write!(f, "\n  {more} more packages differ"),
        }
    }
}

impl What {
    /// The words that `status` has for it.
    pub fn words(self) -> &'static str {
        match self {
            What::BootstrapId => "bootstrap id",
            What::PackageList => "package list",
            What::BuildDigest => "build digest",
            What::Configuration => "configuration",
            What::Package => "package",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(packages: &[&str], bootstrap_id: &str, index_sha256: Option<&str>) -> Build {
        Build {
            url: String::new(),
            bootstrap_id: bootstrap_id.into(),
            package_list_id: packages.concat(),
            bootstrap_packages: Vec::new(),
            packages: packages.iter().map(|id| id.parse().unwrap()).collect(),
            node_files: Vec::new(),
            artifacts: Default::default(),
            index_sha256: index_sha256.map(Into::into),
        }
    }

    fn told(here: &Build, offered: &Build) -> String {
        Contrast::between(&here.active(), Some(here), offered).unwrap().to_string()
    }

    #[test]
    fn contrast_names_each_difference_with_both_values() {
        let here = build(&["dcos-config--setup_1", "java--1", "mesos--1"], "b", Some("d1"));
        assert_eq!(Contrast::between(&here.active(), Some(&here), &here), None);
        let configured = build(&["dcos-config--setup_2", "java--1", "mesos--1"], "b", Some("d1"));
        let expected = "the configuration differs\n  here:    package list  \
                        dcos-config--setup_1java--1mesos--1\n           configuration \
                        dcos-config--setup_1\n  offered: package list  \
                        dcos-config--setup_2java--1mesos--1\n           configuration \
                        dcos-config--setup_2";
        assert_eq!(told(&here, &configured), expected);
        let newer =
            told(&here, &build(&["dcos-config--setup_1", "java--2", "mesos--2"], "b", Some("d2")));
        assert!(
            newer.starts_with("the release differs\n") && newer.contains("build digest  d2\n"),
            "{newer}"
        );
        assert!(
            newer.ends_with("package       java--2\n  1 more package differs")
                && !newer.contains("bootstrap id"),
            "{newer}"
        );
        let other = told(&here, &build(&["dcos-config--setup_2", "java--1"], "c", None));
        assert!(
            other.starts_with(
                "the release and the configuration differ\n  here:    bootstrap id  b\n"
            ),
            "{other}"
        );
        assert!(other.ends_with("package       none") && !other.contains("digest"), "{other}");
    }

    #[test]
    fn recorded_build_counts_only_while_it_is_active() {
        let (recorded, offered) = (build(&["java--1"], "a", None), build(&["java--3"], "c", None));
        let active = ["java--2".parse().unwrap()].into();
        let contrast = Contrast::between(&active, Some(&recorded), &offered).unwrap();
        assert_eq!(
            contrast.values,
            [Pair { what: What::Package, here: "java--2".into(), offered: "java--3".into() }]
        );
    }
}
