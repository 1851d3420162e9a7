//! From where else, how fast and how many at once: the same options for every command that fetches.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::quantity::{duration, number, rate};
use crate::dcos::fetching::Fetching;

/// Named at each option: a heading of the whole would go on to what comes after it.
const HEADING: &str = "Fetching";

#[derive(Debug, Args)]
pub(super) struct TypedFetching {
    /// Another place of the same build, for when one fails. Repeatable
    #[arg(
        long,
        value_name = "URL",
        help_heading = HEADING,
        value_parser = places,
        env = "DCOS_NODE_MIRROR",
        hide_env_values = true
    )]
    mirror: Vec<Places>,
    /// The most bytes/s of all downloads together: 500k, 10M
    #[arg(
        long,
        value_name = "RATE",
        help_heading = HEADING,
        value_parser = rate,
        env = "DCOS_NODE_LIMIT_RATE"
    )]
    limit_rate: Option<u64>,
    /// Downloads at once [default: one more than processors]
    #[arg(
        long,
        value_name = "N",
        help_heading = HEADING,
        value_parser = number,
        env = "DCOS_NODE_PARALLEL"
    )]
    parallel: Option<usize>,
    /// Wait a random part of this before the first request
    #[arg(
        long,
        value_name = "DURATION",
        help_heading = HEADING,
        value_parser = duration,
        env = "DCOS_NODE_SPLAY"
    )]
    splay: Option<Duration>,
}

/// One place on the command line, in the environment several with white space between them.
#[derive(Clone, Debug)]
pub(super) struct Places(pub(super) Vec<String>);

/// One path on the command line, in the environment several with white space between them.
#[derive(Clone, Debug)]
pub(super) struct Paths(pub(super) Vec<PathBuf>);

pub(super) fn paths(text: &str) -> Result<Paths, String> {
    let paths: Vec<PathBuf> = text.split_whitespace().map(PathBuf::from).collect();
    match paths.iter().all(|path| path.is_absolute()) {
        true => Ok(Paths(paths)),
        false => Err("it takes an absolute path".to_owned()),
    }
}

impl TypedFetching {
    pub(super) fn meaning(self) -> Fetching {
        Fetching {
            mirrors: self.mirror.into_iter().flat_map(|places| places.0).collect(),
            bytes_per_second: self.limit_rate,
            parallel: self.parallel,
            splay: self.splay.unwrap_or_default(),
            ..Fetching::default()
        }
    }
}

fn places(text: &str) -> Result<Places, String> {
    Ok(Places(text.split_whitespace().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetch_places_are_separated_by_white_space() {
        assert_eq!(
            places("http://a/x /srv\n file:///b ").unwrap().0,
            ["http://a/x", "/srv", "file:///b"]
        );
    }
}
