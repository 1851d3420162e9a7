//! How a node is after an install.

use serde::Serialize;

use crate::action::Site;
use crate::command::wait::{self, Arrived};
use crate::command::{Failure, World, health, preflight, trust};
use crate::dcos::ailment::Ailment;
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::journal::InstallIntent;
use crate::dcos::layout;
use crate::dcos::level::Level;
use crate::dcos::preview::Preview;
use crate::dcos::receipt::CheckWarning;
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::dcos::trust::{Origins, Trust};
use crate::observe::health::{ailments, count_restarts};
use crate::observe::last_words;
use crate::observe::lives::Lives;
use crate::observe::node::Node;
use crate::observe::services::{self, UnitReport};
use crate::plan::install::{self as plan, Circumstances};
use crate::preflight::report::Protection;
use crate::system::label;
use crate::system::root::Root;

/// How the node is now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// Some units failed although the target is active.
    pub degraded: bool,
    /// What makes the node not healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<Ailment>,
    /// What was missing of this build and was put back: paths, and names of accounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<String>,
    /// What the node is.
    pub role: Role,
    /// Which DC/OS.
    pub version: Option<Version>,
    /// Where it came from.
    pub bootstrap_url: String,
    /// The bootstrap id of the build.
    pub bootstrap_id: String,
    /// The package list of the build.
    pub package_list_id: String,
    /// How many packages are active.
    pub packages: usize,
    /// Whether every byte of them was compared with a build index; none before they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// SHA-256 of that index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
    /// How the packages of this run came to the node; none if it needed none.
    #[serde(skip_serializing_if = "Origins::is_nothing")]
    pub origins: Origins,
    /// Checks that warned and did not stop the install.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<CheckWarning>,
    /// Units that are not well (yet).
    pub units: Vec<UnitReport>,
    /// With `--wait`: how far the node has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Arrived>,
    /// What is left for later: the first boot of an image, a restart of journald.
    pub left: Vec<String>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Preview>,
    /// With `--dry-run`: how it was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// What an unprivileged run cannot do.
pub(super) const FIRST_BOOT: &str =
    "owners, accounts and the start of the role: the first boot of this image sees to them";

/// What a node lacks whose swap was finished for pkgpanda.
pub(super) fn left_of_classic(node: &Node) -> impl Iterator<Item = &'static str> {
    let start =
        "the start at boot: dcos.target is not enabled (systemctl enable --now dcos.target)";
    let receipt = "the receipt: dcos-node adopt writes it";
    let lacks = [(node.committed, start), (node.receipt.is_some(), receipt)];
    lacks.into_iter().filter(|(has, _)| !has).map(|(_, what)| what)
}

/// Refuses before anything is done a wait for what this very install keeps from coming.
///
/// # Errors
/// Nothing is started, or nothing runs there.
pub fn check_wish(starts: bool, wish: Option<wait::Wish>, world: &World) -> Result<(), Failure> {
    wait::check(wish, world)?;
    match wish.filter(|wish| !starts && wish.level > Level::Unpacked) {
        None => Ok(()),
        Some(wish) => Err(Failure::new(
            Exit::Usage,
            anyhow::anyhow!(
                "--no-start starts nothing, so the node does not come to {}",
                wish.level
            ),
        )
        .leaving("nothing was changed")
        .cured_by(format!(
            "leave out --no-start, or wait after the start: dcos-node status --wait={}",
            wish.level
        ))),
    }
}

/// Waits for what an install has brought about, if that is wished for.
///
/// # Errors
/// As the wait itself; the install stands.
pub async fn and_wait(
    outcome: Outcome,
    wish: Option<wait::Wish>,
    world: &World,
) -> Result<Outcome, Failure> {
    let Some(wish) = wish.filter(|_| outcome.plan.is_empty()) else { return Ok(outcome) };
    // The install stands, whatever becomes of the wait: who reads the failure has to know what was
    // changed.
    let arrived = wait::until(wish, world)
        .await
        .map_err(|failure| failure.having_changed(outcome.changed))?;
    let node = world.node().await?;
    let units =
        wait::look(&node, world, Level::Started, &mut wait::Memory::default()).await?.into_units();
    let mut outcome = Outcome { ready: Some(arrived), ..outcome };
    set_units(&mut outcome, units, health::is_late(&node, world), world.root.clone()).await;
    Ok(outcome)
}

/// The end of an install that went well: how the units are.
pub(in crate::command) async fn finished(
    intent: InstallIntent,
    site: &Site,
    here: Circumstances,
) -> Outcome {
    let mut outcome = outcome(&intent, true);
    outcome.origins = site.capacity.origins().values().copied().collect();
    if let Ok(record) = trust::record(&site.root, &intent.build, &intent.spared) {
        outcome.trust = Some(record.trust());
        outcome.index_sha256 = record.index_sha256;
    }
    if !here.privileged {
        outcome.left.push(FIRST_BOOT.into());
    }
    if plan::leaves_journald(&intent, here) {
        outcome.left.push("the journald setting: it applies at the next boot".into());
    }
    if !here.live && label::is_configured(&site.root) {
        outcome.left.push(
            "SELinux labels: put an empty file /.autorelabel into the image, so that its first \
             boot sets them"
                .into(),
        );
    }
    if let (Some(systemd), true) = (&site.systemd, intent.start) {
        let root = site.root.clone();
        let wanted =
            tokio::task::spawn_blocking(move || Node::look(&root).map(|n| n.wanted_units)).await;
        let wanted = wanted.ok().and_then(Result::ok).unwrap_or_default();
        match services::look(systemd.as_ref(), &wanted, &mut Lives::default()).await {
            Ok(reports) => set_units(&mut outcome, reports, false, site.root.clone()).await,
            Err(error) => site.events.warn(format!("the units could not be looked at: {error}")),
        }
    }
    outcome
}

/// Takes over how the units are; `late` says that there was time enough for them to come up.
async fn set_units(outcome: &mut Outcome, mut reports: Vec<UnitReport>, late: bool, root: Root) {
    let looked = tokio::task::spawn_blocking(move || {
        last_words::add(&root, &mut reports);
        count_restarts(&root, &mut reports);
        reports
    });
    let mut reports = looked.await.unwrap_or_default();
    outcome.degraded = services::is_degraded(&reports);
    // What was missing was restored.
    outcome.unhealthy = ailments(&reports, late, 0);
    reports.retain(|r| r.condition != services::Condition::Well);
    outcome.units = reports;
}

/// Of an intent, before anything is known of the units.
pub(super) fn outcome(intent: &InstallIntent, changed: bool) -> Outcome {
    let outcome = outcome_of(intent.role, &intent.build, intent.version.clone(), changed);
    Outcome { warnings: intent.warnings.clone(), ..outcome }
}

/// Of a build and what it is for.
pub(super) fn outcome_of(
    role: Role,
    build: &Build,
    version: Option<Version>,
    changed: bool,
) -> Outcome {
    Outcome {
        changed,
        degraded: false,
        unhealthy: Vec::new(),
        restored: Vec::new(),
        role,
        version,
        bootstrap_url: build.url.clone(),
        bootstrap_id: build.bootstrap_id.clone(),
        package_list_id: build.package_list_id.clone(),
        packages: build.active().len(),
        trust: None,
        index_sha256: None,
        origins: Origins::default(),
        warnings: Vec::new(),
        units: Vec::new(),
        ready: None,
        left: Vec::new(),
        plan: Vec::new(),
        protection: preflight::protection(),
    }
}

/// With the units that are not well. Where nothing was to be started, an inactive target is well.
pub(super) async fn with_units(
    mut outcome: Outcome,
    starts: bool,
    node: &Node,
    world: &World,
) -> Outcome {
    let units = services::of_role(&node.wanted_units);
    if let Some(Ok(systemd)) = &world.systemd
        && let Ok(reports) = services::look(systemd.as_ref(), &units, &mut Lives::default()).await
    {
        if reports.iter().any(|unit| unit.name == layout::TARGET && unit.active == "inactive") {
            if !starts {
                return outcome;
            }
            world.events.warn(format!(
                "{0} is inactive, so DC/OS does not run; start it: systemctl start {0}",
                layout::TARGET
            ));
        }
        set_units(&mut outcome, reports, health::is_late(node, world), world.root.clone()).await;
    }
    outcome
}
