//! Stores: where packages lie whole until an install moves them into the repository. Other tools
//! take the presence of `/opt/mesosphere` for an installed node, so nothing is kept there.

use std::path::PathBuf;

use super::id::PackageId;
use super::layout;

/// Returns the store that new packages go to: one that shares a file system with the repository,
/// because a rename is enough there; else the one in `/opt`.
pub fn choose(shares: impl Fn(&str) -> bool) -> &'static str {
    layout::STORES.into_iter().find(|store| shares(store)).unwrap_or(layout::OPT_STORE)
}

/// A package in a store.
pub fn package(store: &str, id: &PackageId) -> PathBuf {
    PathBuf::from(format!("{store}/{id}"))
}

/// Where a package is unpacked or copied to until it is whole. The leading dot keeps pkgpanda from
/// taking it for a package of the repository.
pub fn staging(directory: &str, id: &PackageId) -> PathBuf {
    PathBuf::from(format!("{directory}/.{id}.tmp"))
}

/// Where the packages of a bootstrap archive are unpacked until they are whole.
pub fn bootstrap_staging(store: &str, bootstrap_id: &str) -> PathBuf {
    PathBuf::from(format!("{store}/.bootstrap-{bootstrap_id}.tmp"))
}

/// Everywhere a package may be: in the repository, then in the stores.
pub fn places(id: &PackageId) -> impl Iterator<Item = PathBuf> {
    directories().map(move |directory| package(directory, id))
}

/// Everywhere an unfinished package may be.
pub fn stagings(id: &PackageId) -> impl Iterator<Item = PathBuf> {
    directories().map(move |directory| staging(directory, id))
}

/// Every directory that packages lie in.
pub fn directories() -> impl Iterator<Item = &'static str> {
    [layout::REPOSITORY].into_iter().chain(layout::STORES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_beside_the_repository_is_preferred() {
        assert_eq!(choose(|_| true), layout::STATE_STORE);
        assert_eq!(choose(|store| store == layout::OPT_STORE), layout::OPT_STORE);
        assert_eq!(choose(|_| false), layout::OPT_STORE);
    }
}
