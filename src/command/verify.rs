//! `dcos-node verify`: whether everything still stands as it was installed. Changes nothing; works
//! without privileges as far as files can be read. With `--online` the packages are compared with
//! the published archives, and the trust is recorded.

mod comparison;
mod online;

use super::{Failure, World, pkgpanda_swap};
use crate::dcos::exit::Exit;
use crate::observe::node::State;

pub use crate::observe::verify::Unknown;
pub(super) use comparison::compare;
pub use comparison::{Outcome, SCHEMA};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Compare the packages with the archives of the published build, and record the trust.
    pub online: bool,
    /// Where the build is; none for where it was installed from.
    pub bootstrap_url: Option<String>,
}

/// Compares everything, every byte.
///
/// # Errors
/// There is no DC/OS, or its install or uninstall is unfinished; a signal.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    let _lock = if request.online { Some(online::begin(world)?) } else { None };
    let node = world.node().await?;
    match node.state() {
        State::Clean => {
            return Err(Failure::new(
                Exit::NotInstalled,
                anyhow::anyhow!("DC/OS is not installed here"),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node install ROLE"));
        }
        State::Installing | State::Uninstalling => {
            return Err(Failure::new(
                Exit::NotReady,
                anyhow::anyhow!(
                    "an install or uninstall is unfinished, so nothing can be compared yet"
                ),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node recover goes on with it; dcos-node status tells more"));
        }
        State::Installed | State::Prepared | State::Foreign => {}
    }
    if pkgpanda_swap::unfinished(world).await?.is_some() {
        return Err(Failure::new(
            Exit::NotReady,
            anyhow::anyhow!("pkgpanda left a swap half done, so nothing can be compared yet"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node recover finishes it"));
    }
    let outcome = if request.online {
        online::compare(request.bootstrap_url.as_deref(), node, world).await?
    } else {
        compare(node, None, world).await?
    };
    match world.cancellation.is_requested() {
        true => Err(Failure::new(
            Exit::Interrupted,
            anyhow::anyhow!("interrupted before everything was compared"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node verify compares everything anew")),
        false => Ok(outcome),
    }
}
