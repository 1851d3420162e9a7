//! How an operator wants archives to be fetched.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// From where else, how fast and how many at once. The journal keeps it, so that an interrupted
/// install goes on as it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetching {
    /// Other places of the same build, asked when the first one fails. In the journal without
    /// credentials, like the first one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// The most bytes a second of all downloads together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// How many downloads run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<usize>,
    /// The text of the file of authorities to trust (`--ca-file`), for who resumes without that
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// The proxy settings of the environment, without credentials.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proxies: BTreeMap<String, String>,
    /// The longest random wait before the first request, so that many nodes do not come at once.
    /// Whoever goes on later does not wait again.
    #[serde(skip)]
    pub splay: Duration,
}

impl Fetching {
    /// Nothing special was asked for.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
