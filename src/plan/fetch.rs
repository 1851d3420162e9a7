//! Plans which archives are fetched, and in which order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::action::Action;
use crate::dcos::build::Build;

/// Lengths of archives in bytes, by their paths in the serve directory: what a server tells where
/// no build index does.
pub type Lengths = BTreeMap<String, u64>;

/// One action an archive, the longest work first, so that at the end no processor waits for the
/// other.
pub fn fetches(build: &Build, lengths: &Lengths) -> Vec<Action> {
    let artifact = |path: &str| build.artifact(path).cloned();
    let archive = Build::bootstrap_archive(&build.bootstrap_id);
    let bootstrap = Action::FetchBootstrap {
        id: build.bootstrap_id.clone(),
        expected: build.bootstrap_packages.clone(),
        artifact: artifact(&archive),
        spared: BTreeSet::new(),
    };
    let packages = build.to_fetch().into_iter().map(|id| {
        let archive = id.archive();
        (Action::FetchPackage { artifact: artifact(&archive), id }, archive)
    });
    let mut fetches: Vec<(Action, String)> =
        std::iter::once((bootstrap, archive)).chain(packages).collect();
    let work = |path: &str| match build.artifact(path) {
        Some(artifact) => artifact.content.map_or(artifact.bytes, |content| content.bytes),
        None => lengths.get(path).copied().unwrap_or_default(),
    };
    // Where nothing is known the bootstrap archive stays first: it usually is the longest.
    fetches.sort_by_key(|(_, path)| Reverse(work(path)));
    fetches.into_iter().map(|(action, _)| action).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_work_comes_first() {
        let id = |name: &str| {
            format!("{name}--{}", "0".repeat(40)).parse::<crate::dcos::id::PackageId>().unwrap()
        };
        let build = Build {
            url: "/srv".into(),
            bootstrap_id: "b".into(),
            package_list_id: "p".into(),
            bootstrap_packages: Vec::new(),
            packages: vec![id("small"), id("large"), id("unknown")],
            node_files: Vec::new(),
            artifacts: BTreeMap::new(),
            index_sha256: None,
        };
        let order = |lengths: &Lengths| -> Vec<String> {
            let name = |action: &Action| match action {
                Action::FetchPackage { id, .. } => id.name().to_owned(),
                Action::FetchBootstrap { id, .. } => id.clone(),
                _ => String::new(),
            };
            fetches(&build, lengths).iter().map(name).collect()
        };
        assert_eq!(order(&Lengths::new()), ["b", "small", "large", "unknown"]);
        let known = [
            (id("small").archive(), 1),
            (id("large").archive(), 9),
            (Build::bootstrap_archive("b"), 5),
        ];
        assert_eq!(order(&known.into()), ["large", "b", "small", "unknown"]);
    }
}
