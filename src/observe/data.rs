//! Data that DC/OS keeps on a node, with sizes.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::node::Node;
use crate::dcos::data::{self, PLACES, Place};
use crate::dcos::layout;
use crate::system::files::{self, Standing};
use crate::system::root::Root;
use crate::system::survey;

/// Data in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Data {
    /// As the node sees it.
    pub path: PathBuf,
    /// Bytes of its files, without those of places below it that are listed on their own, and without what another file system holds.
    pub bytes: u64,
    /// What it holds.
    pub holds: &'static str,
    /// What it means to a later install, if it is a part of the node's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<&'static str>,
}

/// What there is, in the order of the table, and then the parts of the node's identity.
pub fn look(root: &Root, node: &Node) -> Vec<Data> {
    let places: Vec<&Place> = PLACES.iter().filter(|place| is_there(root, place.path) && counts(root, node, place)).collect();
    let mut found = Vec::new();
    for place in places {
        let mut bytes = survey::size_below(&root.at(place.path));
        for part in data::parts(place) {
            bytes = bytes.saturating_sub(survey::size_below(&root.at(part.path)));
        }
        found.push(Data { path: place.path.into(), bytes, holds: place.holds, effect: None });
    }
    for path in &node.kept_identity {
        let bytes = survey::size_below(&root.at(path));
        let effect = path.to_str().map(data::effect);
        found.push(Data { path: path.clone(), bytes, holds: "a part of the node's identity", effect });
    }
    found
}

/// What a purge removes: whole places. A link is an operator's, and what it leads to is not touched.
pub fn to_purge(root: &Root, node: &Node) -> Vec<PathBuf> {
    let places = data::whole().filter(|place| is_there(root, place.path) && counts(root, node, place));
    places.map(|place| PathBuf::from(place.path)).filter(|path| !is_link(root, path)).collect()
}

/// Places that are links.
pub fn links(root: &Root, node: &Node) -> Vec<PathBuf> {
    let places = data::whole().filter(|place| counts(root, node, place)).map(|place| PathBuf::from(place.path));
    places.filter(|path| is_link(root, path)).collect()
}

fn is_link(root: &Root, path: &Path) -> bool {
    matches!(files::standing(&root.at(path)), Ok(Some(Standing::Link { .. })))
}

fn is_there(root: &Root, path: &str) -> bool {
    files::exists(&root.at(path))
}

/// A name that others use too counts only where DC/OS is, or left its state.
fn counts(root: &Root, node: &Node, place: &Place) -> bool {
    !place.shared_name
        || is_there(root, layout::STATE)
        || !node.active.is_empty()
        || !node.inventory().is_empty()
        || !node.foreign.is_empty()
}
