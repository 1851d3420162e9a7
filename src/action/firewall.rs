//! Removes DC/OS' rules, chains and sets of the packet filter. Each is looked for again first, and
//! removed as often as it stands.

use std::path::PathBuf;

use super::Site;
use crate::dcos::layout;
use crate::system::packet_filter::{self, Place};

/// The same rule stands more than once where a unit was started at the same time twice; more often
/// than this it comes back.
const MOST: usize = 64;

pub(crate) async fn remove_rule(
    site: &Site,
    program: &str,
    table: &str,
    rule: &str,
) -> anyhow::Result<()> {
    let proc = proc(site);
    let place = Place { path: layout::USUAL_PATH, proc: &proc };
    for _ in 0..MOST {
        if !packet_filter::rules(place, program, table).await?.iter().any(|line| line == rule) {
            return Ok(());
        }
        packet_filter::remove_rule(place, program, table, rule).await?;
    }
    anyhow::bail!("it was removed {MOST} times and still stands: something makes it again")
}

pub(crate) async fn remove_chain(
    site: &Site,
    program: &str,
    table: &str,
    chain: &str,
) -> anyhow::Result<()> {
    let proc = proc(site);
    let place = Place { path: layout::USUAL_PATH, proc: &proc };
    let stands =
        packet_filter::rules(place, program, table).await?.contains(&format!("-N {chain}"));
    if stands {
        packet_filter::remove_chain(place, program, table, chain).await?;
    }
    Ok(())
}

pub(crate) async fn remove_set(site: &Site, name: &str) -> anyhow::Result<()> {
    let proc = proc(site);
    let place = Place { path: layout::USUAL_PATH, proc: &proc };
    if packet_filter::sets(place).await?.iter().any(|set| set == name) {
        packet_filter::remove_set(place, name).await?;
    }
    Ok(())
}

fn proc(site: &Site) -> PathBuf {
    site.root.at(layout::PROC)
}
