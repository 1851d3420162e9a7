//! What on an installed node is not as it was installed any more, as far as that is known at once:
//! the quick part of `verify`, the address, the resolver configuration, and with leave the
//! bootstrap server.

use std::time::Duration;

use serde::Serialize;

use super::World;
use crate::dcos::build::Build;
use crate::dcos::contrast::{self, Contrast};
use crate::dcos::difference::{Difference, Kind};
use crate::dcos::fetching::Fetching;
use crate::dcos::layout;
use crate::dcos::resolv_conf::Keeper;
use crate::observe::addresses::Addresses;
use crate::observe::node::Node;
use crate::observe::services::UnitReport;
use crate::observe::verify::{self, Depth, Findings, Unknown};
use crate::observe::{build as offered, cluster};
use crate::system::files;
use crate::system::files::FileKind;
use crate::system::source::Source;

/// How long the server may take, when it is asked: nobody waits long for a status.
const PATIENCE: Duration = Duration::from_secs(5);
/// Differences that are told; `verify` tells all.
const TOLD: usize = 10;
/// What writes the resolver configuration, once a minute, and in seconds when it certainly has.
const RESOLV_CONF_TIMER: &str = "dcos-gen-resolvconf.timer";
const TURN: u64 = 90;
/// DC/OS' name server, from 1.11 on and before.
const NAME_SERVERS: [&str; 2] = ["dcos-net.service", "dcos-spartan.service"];

/// What has drifted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Drift {
    /// Whether anything has.
    pub drifted: bool,
    /// The node's address; none if DC/OS recorded none yet, or the node does not run.
    pub address: Option<Address>,
    /// The resolver configuration; none while DC/OS does not keep it.
    pub resolv_conf: Option<ResolvConf>,
    /// Files, links, units and accounts, by size, time and link.
    pub files: Files,
    /// Units that `dcos.target` wants and no active package brings.
    pub foreign_units: Vec<String>,
    /// What the bootstrap server has; none if it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<Offered>,
}

/// An address that must not change over the life of a node (`packages/dcos-net/extra/dcos-net-env`,
/// and the documentation of ip-detect).
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// When DC/OS first ran here.
    pub recorded: String,
    /// What `detect_ip` says now; none if it says nothing of use in time.
    pub now: Option<String>,
    /// Whether they are known to differ.
    pub changed: bool,
    /// Whether the recorded one is still on an interface of the node.
    pub recorded_is_here: bool,
}

/// Whether DC/OS still keeps `/etc/resolv.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct ResolvConf {
    /// Whether it has the header that DC/OS writes.
    pub generated: bool,
    /// Who keeps it, in words.
    pub keeper: String,
}

/// How many things differ.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Files {
    /// Are there and are others.
    pub changed: usize,
    /// Should be there.
    pub missing: usize,
    /// Should not be there.
    pub extra: usize,
    /// Are others, and were accepted so: no drift.
    pub accepted: usize,
    /// The first of them; `dcos-node verify` tells all.
    pub first: Vec<Difference>,
    /// What could not be compared.
    pub unknown: Vec<Unknown>,
}

/// What the bootstrap server has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Offered {
    /// Which server was asked.
    pub url: String,
    /// Whether it has the build of this node; none if that is not known.
    pub same: Option<bool>,
    /// What differs: the release, the configuration, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<contrast::Difference>,
    /// By which values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<contrast::Pair>,
    /// How many packages of the release differ besides the one that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_packages: Option<usize>,
    /// The bootstrap id that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_id: Option<String>,
    /// The configuration that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_package: Option<String>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Looks. The server is asked only where its `url` is given.
pub(super) async fn look(
    node: &Node,
    units: &[UnitReport],
    url: Option<&str>,
    world: &World,
) -> Drift {
    let (address, files, offered) =
        tokio::join!(address(world), compared(node, world), asked(node, url, world));
    let resolv_conf = if keeps_resolv_conf(units) { resolv_conf(world) } else { None };
    let compared = files;
    let (foreign, differences): (Vec<_>, Vec<_>) =
        compared.differences.into_iter().partition(is_foreign_unit);
    let foreign_units = foreign
        .iter()
        .filter_map(|d| Some(d.object.path()?.file_name()?.to_string_lossy().into_owned()))
        .collect::<Vec<_>>();
    let count = |kind| differences.iter().filter(|d| d.kind == kind).count();
    let (changed, missing, extra) =
        (count(Kind::Changed), count(Kind::Missing), count(Kind::Extra));
    let drifted = !differences.is_empty()
        || !foreign_units.is_empty()
        || address.as_ref().is_some_and(|address| address.changed)
        || resolv_conf.as_ref().is_some_and(|resolv_conf| !resolv_conf.generated)
        || offered.as_ref().is_some_and(|offered| offered.same == Some(false));
    let first = differences.into_iter().take(TOLD).collect();
    Drift {
        drifted,
        address,
        resolv_conf,
        files: Files {
            changed,
            missing,
            extra,
            accepted: compared.accepted.len(),
            first,
            unknown: compared.unknown,
        },
        foreign_units,
        offered,
    }
}

async fn address(world: &World) -> Option<Address> {
    if !world.is_live() {
        return None;
    }
    let recorded = world.root.text(layout::KEPT_ADDRESS).ok().flatten()?.trim().to_owned();
    let now = cluster::detected(&world.root, layout::DETECT_IP).await;
    let changed = now.as_ref().is_some_and(|now| *now != recorded);
    let addresses = Addresses::look(&world.root);
    let recorded_is_here = recorded.parse().is_ok_and(|ip| addresses.find(ip).is_some());
    Some(Address { recorded, now, changed, recorded_is_here })
}

/// While the role is stopped, and before the timer had its turn after the start, the file is not
/// DC/OS' to keep.
fn keeps_resolv_conf(units: &[UnitReport]) -> bool {
    let is_active =
        |name: &str| units.iter().any(|unit| unit.name == name && unit.active == "active");
    let has_served = |unit: &UnitReport| {
        NAME_SERVERS.contains(&unit.name.as_str()) && unit.active_seconds >= Some(TURN)
    };
    is_active(layout::TARGET) && is_active(RESOLV_CONF_TIMER) && units.iter().any(has_served)
}

fn resolv_conf(world: &World) -> Option<ResolvConf> {
    let text = world.root.text(layout::RESOLV_CONF).ok()?.unwrap_or_default();
    let link = match files::lstat(&world.root.at(layout::RESOLV_CONF)) {
        Ok(Some(files::Stat { kind: FileKind::Link { target }, .. })) => {
            Some(target.display().to_string())
        }
        _ => None,
    };
    let keeper = Keeper::of(link.as_deref(), &text);
    Some(ResolvConf { generated: keeper == Keeper::Dcos, keeper: keeper.words().to_owned() })
}

async fn compared(node: &Node, world: &World) -> Findings {
    let (root, node, stop) = (world.root.clone(), node.clone(), world.cancellation.clone());
    let looked = tokio::task::spawn_blocking(move || {
        verify::look(&root, &node, Depth::Quick, &|| stop.is_requested())
    })
    .await;
    let mut findings = looked.unwrap_or_default();
    findings.differences.retain(|d| d.is_drift() && !d.is_unread());
    findings
}

fn is_foreign_unit(difference: &Difference) -> bool {
    difference.kind == Kind::Extra && difference.object.is_below(layout::TARGET_WANTS)
}

async fn asked(node: &Node, url: Option<&str>, world: &World) -> Option<Offered> {
    let url = url?.to_owned();
    let nothing = Offered { url: url.clone(), ..Offered::default() };
    let source = match world.source(Some(&url), &Fetching::default(), None) {
        Ok(Some(mirrors)) => mirrors.first().impatient(PATIENCE),
        Ok(None) => return Some(nothing),
        Err(failure) => {
            return Some(Offered { unknown: Some(format!("{:#}", failure.error)), ..nothing });
        }
    };
    Some(match tokio::time::timeout(PATIENCE, read(&source)).await {
        Err(_) => Offered {
            unknown: Some(format!("no answer within {} s", PATIENCE.as_secs())),
            ..nothing
        },
        Ok(Err(why)) => Offered { unknown: Some(why), ..nothing },
        Ok(Ok(build)) => {
            let contrast = Contrast::between(
                &node.active,
                node.receipt.as_ref().map(|receipt| &receipt.build),
                &build,
            );
            Offered {
                same: Some(contrast.is_none()),
                difference: contrast.as_ref().map(|contrast| contrast.difference),
                more_packages: contrast.as_ref().map(|contrast| contrast.more_packages),
                differences: contrast.map(|contrast| contrast.values).unwrap_or_default(),
                config_package: build.config_package().map(ToString::to_string),
                bootstrap_id: Some(build.bootstrap_id),
                ..nothing
            }
        }
    })
}

async fn read(source: &Source) -> Result<Build, String> {
    // Whatever it was published as: the question is what the server has now.
    offered::build(source, None).await.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, active_seconds: Option<u64>) -> UnitReport {
        UnitReport { active_seconds, ..UnitReport::of(name) }
    }

    #[test]
    fn resolv_conf_drift_counts_after_dcos_had_time_to_write() {
        let units = |seconds| {
            [
                unit(layout::TARGET, None),
                unit(RESOLV_CONF_TIMER, None),
                unit("dcos-net.service", Some(seconds)),
            ]
        };
        assert!(keeps_resolv_conf(&units(TURN)) && !keeps_resolv_conf(&units(TURN - 1)));
        assert!(!keeps_resolv_conf(&units(TURN)[1..]) && !keeps_resolv_conf(&[]));
    }
}
