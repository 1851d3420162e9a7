//! Plans an install: first what must be on the node before anything else and the packages, then the
//! activation.

use std::collections::BTreeSet;

use crate::action::Action;
use crate::dcos::accounts::Accounts;
use crate::dcos::active_set::{Account, ActiveSet};
use crate::dcos::build::Build;
use crate::dcos::contrast::Contrast;
use crate::dcos::id::PackageId;
use crate::dcos::installer_script::{NodeFile, link_of};
use crate::dcos::journal::{InstallIntent, Intent};
use crate::dcos::layout;
use crate::dcos::receipt::{Receipt, SCHEMA};
use crate::dcos::role::Role;
use crate::dcos::units::{self, UnitForm};
use crate::observe::node::{Foreign, Node, State};

use super::Plan;
use super::fetch::{Lengths, fetches};

/// What an install of this build for this role means on this node.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Install from the beginning.
    Fresh,
    /// Go on with what was interrupted.
    GoOn,
    /// Undo all of what was interrupted, which was begun with another index or without one; then
    /// install from the beginning.
    StartOver,
    /// Finish the uninstall that was interrupted, then install.
    FinishUninstall,
    /// The same role and build stand already.
    Unchanged,
    /// It cannot be.
    Refuse(Refusal),
}

/// Why an install is refused; nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node has another role.
    #[error("this node is a {is}; it cannot become a {asked} while it is one")]
    OtherRole {
        /// The role that it has.
        is: Role,
        /// The role that was asked for.
        asked: Role,
    },
    /// The node runs another build.
    #[error("this node runs another build: {0}")]
    OtherBuild(Contrast),
    /// An install of something else was interrupted.
    #[error(
        "an interrupted install of another build is on this node (package list {here}; offered is \
         {offered})"
    )]
    OtherInterrupted {
        /// The package list of the interrupted install.
        here: String,
        /// The package list of the build.
        offered: String,
    },
    /// Another DC/OS.
    #[error("{} stand(s) in the way", list(.things))]
    Foreign {
        /// What is there.
        things: Vec<Foreign>,
        /// What to do about it.
        fix: &'static str,
    },
    /// Things that are nobody's that we know, where DC/OS belongs.
    #[error("{} stand(s) in the way", list(.0))]
    Strange(Vec<Foreign>),
}

fn list(foreign: &[Foreign]) -> String {
    let mut names: Vec<String> = foreign.iter().take(5).map(Foreign::to_string).collect();
    if foreign.len() > 5 {
        names.push(format!("{} more", foreign.len() - 5));
    }
    names.join(", ")
}

impl Refusal {
    /// The command or deed that cures it.
    pub fn cure(&self) -> String {
        match self {
            Refusal::OtherRole { is, asked } => other_role(*is, *asked),
            // Never an uninstall: the node is live, and its role in the cluster would be lost.
            Refusal::OtherBuild(_) => "leave the node as it is, or bring it to the other build \
                                       with DC/OS' own upgrade script (dcos_generate_config.sh \
                                       --generate-node-upgrade-script)"
                .into(),
            Refusal::OtherInterrupted { .. } => "dcos-node recover goes on with the first one; \
                                                 dcos-node uninstall gives it up"
                .into(),
            Refusal::Strange(things) => {
                let first = things.first().map_or_else(String::new, |thing| {
                    format!(", for example: mv {} /root/", thing.path.display())
                });
                format!("move that somewhere else{first}; dcos-node uninstall would leave it alone")
            }
            Refusal::Foreign { fix, .. } => (*fix).to_owned(),
        }
    }
}

/// What to do on a node that has another role than the one asked for. Its role may serve, so that
/// an uninstall is never advised.
fn other_role(is: Role, asked: Role) -> String {
    format!("dcos-node install {is} keeps this node; a {asked} needs a machine without DC/OS")
}

/// What stands on the node and is against any build.
pub fn conflict(node: &Node, role: Role) -> Option<Refusal> {
    match node.state() {
        State::Foreign => {
            Some(Refusal::Foreign { things: node.foreign.clone(), fix: node.fix_of_another_dcos() })
        }
        State::Clean if !node.foreign.is_empty() => Some(Refusal::Strange(node.foreign.clone())),
        State::Installed | State::Installing | State::Prepared => {
            node.role().filter(|is| *is != role).map(|is| Refusal::OtherRole { is, asked: role })
        }
        State::Clean | State::Uninstalling => None,
    }
}

/// Judges by what stands on the node.
pub fn decide(node: &Node, role: Role, build: &Build) -> Decision {
    if let Some(refusal) = conflict(node, role) {
        return Decision::Refuse(refusal);
    }
    match (node.state(), &node.story.intent) {
        (State::Installing | State::Prepared, Some(Intent::Install(intent)))
            if intent.build.active() == build.active() =>
        {
            match (intent.build.has_content_of(build), &node.receipt) {
                (true, _) => Decision::GoOn,
                (false, None) => Decision::StartOver,
                // A repair of a node that is installed: nothing of it counts as done, and nothing
                // that runs is taken down.
                (false, Some(_)) => Decision::Fresh,
            }
        }
        (State::Installing | State::Prepared, Some(Intent::Install(intent))) => {
            Decision::Refuse(Refusal::OtherInterrupted {
                here: intent.build.package_list_id.clone(),
                offered: build.package_list_id.clone(),
            })
        }
        (State::Uninstalling, _) => Decision::FinishUninstall,
        (State::Installed, _) => installed(node, build),
        _ => Decision::Fresh,
    }
}

fn installed(node: &Node, build: &Build) -> Decision {
    let Some(contrast) =
        Contrast::between(&node.active, node.receipt.as_ref().map(|receipt| &receipt.build), build)
    else {
        return if node.is_whole() { Decision::Unchanged } else { Decision::Fresh };
    };
    if node.active.is_empty() {
        Decision::Fresh
    } else {
        Decision::Refuse(Refusal::OtherBuild(contrast))
    }
}

/// Where and how an activation takes place.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The node is this machine: systemd is told and the role is started.
    pub live: bool,
    /// Owners and accounts can be set. A directory filled without that is finished by its first
    /// boot.
    pub privileged: bool,
    /// Jobs that start or restart something are followed to their end; the run at boot enqueues
    /// them and is done.
    pub follow: bool,
    /// Containers that docker runs now.
    pub running_containers: usize,
    /// An unprivileged run placed what is here: its owners are still to be set.
    pub placed_unprivileged: bool,
}

/// What must be durable first, and the packages. `/opt/mesosphere` is made when all of them are on
/// the node: other tools take its presence for an installed node.
pub fn packages(intent: &InstallIntent, lengths: &Lengths) -> Plan {
    let mut plan = Plan::default();
    plan.then(Action::PlaceBinary);
    plan.then(file(layout::SETUP_UNIT, 0o644, units::SETUP));
    plan.then(link(layout::SETUP_LINK, layout::SETUP_UNIT));
    plan.then(Action::KeepResolvConf);
    for (path, aside) in &intent.set_aside {
        plan.then(Action::SetAside { path: path.clone(), aside: aside.clone() });
    }
    plan.together(fetches(&intent.build, lengths));
    let build = &intent.build;
    let ids: BTreeSet<&PackageId> =
        build.bootstrap_packages.iter().chain(&build.packages).collect();
    plan.then(Action::PlacePackages { ids: ids.into_iter().cloned().collect() });
    plan.sparing(&intent.spared)
}

/// A set that cannot be activated on this node, though its packages fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// An account is needed in a group that the node does not have.
    #[error("the user {user} belongs into the group {group}, which this node does not have")]
    NoGroup {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// An account is there but in other groups.
    #[error("the user {user} exists but is not in the group {group}")]
    OtherGroup {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// Accounts are the operator's, and one is missing.
    #[error(
        "the user {user} is missing, and {} says that users are made by hand",
        layout::MANUAL_HOST_USERS
    )]
    ManualAccount {
        /// The user.
        user: String,
    },
}

/// Everything after the packages, in an order in which a boot at any point starts nothing
/// half-made: the link that starts the target is last.
///
/// # Errors
/// Every obstacle on this node.
pub fn activation(
    intent: &InstallIntent,
    set: &ActiveSet,
    accounts: &Accounts,
    manual_accounts: bool,
    here: Circumstances,
) -> Result<Plan, Vec<Obstacle>> {
    let wanted: Vec<Account> = set.accounts().into_iter().collect();
    // In a directory filled without privileges the accounts are made by its first boot, on the node
    // itself.
    let obstacles =
        if here.privileged { obstacles(&wanted, accounts, manual_accounts) } else { Vec::new() };
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let mut plan = Plan::default();
    let node_files = ours_instead(&intent.build.node_files);
    plan.then(file(&layout::role_file(intent.role).to_string_lossy(), 0o644, ""));
    for node_file in &node_files {
        plan.then(Action::PlaceFile {
            path: node_file.path.clone(),
            mode: node_file.mode,
            content: node_file.content.clone().into_bytes(),
        });
    }
    for (path, target) in node_files.iter().filter_map(|f| link_of(&f.content)) {
        plan.then(Action::PlaceLink { path, target });
    }
    plan.then(file(&layout::unit(layout::TARGET).to_string_lossy(), 0o644, units::TARGET));
    plan.then(Action::BuildActiveSet { set: set.clone() });
    for name in layout::ACTIVE_NAMES {
        plan.then(Action::SwitchName { name: name.to_owned() });
    }
    let form = UnitForm::of_release(intent.version.as_ref());
    plan.then(Action::PlaceUnits { units: set.units(), form });
    if !here.privileged {
        return Ok(plan.sparing(&intent.spared));
    }
    let is_whole = |user: &str| accounts.has_user(user) && accounts.missing_lines(user).is_empty();
    if wanted.iter().any(|account| !is_whole(&account.user)) {
        plan.then(Action::KeepAccountFiles);
    }
    // Users with a group of their own first: another user's group may be one of these.
    for account in wanted
        .iter()
        .filter(|a| a.group.is_none())
        .chain(wanted.iter().filter(|a| a.group.is_some()))
    {
        plan.then(Action::AddAccount { account: account.clone() });
    }
    if here.placed_unprivileged {
        plan.then(Action::SetOwners);
    }
    for directory in set.state_directories() {
        plan.then(Action::MakeStateDirectory { directory });
    }
    finish(&mut plan, intent, &node_files, here);
    Ok(plan.sparing(&intent.spared))
}

fn finish(plan: &mut Plan, intent: &InstallIntent, node_files: &[NodeFile], here: Circumstances) {
    plan.then(link(layout::COMMIT_LINK, &layout::unit(layout::TARGET).to_string_lossy()));
    if here.live {
        // After the link: an isolate stops what the target that it goes to does not want in
        // systemd's memory.
        plan.then(Action::Reload);
        if changes_journald(node_files) && restarts_journald(intent, here) {
            plan.then(Action::Restart {
                unit: "systemd-journald.service".into(),
                wait: here.follow,
            });
        }
        if intent.restart_docker {
            plan.then(Action::Restart { unit: "docker.service".into(), wait: here.follow });
        }
    }
    if here.live && intent.start {
        plan.then(Action::Start { unit: layout::TARGET.into(), wait: here.follow });
    }
}

/// Whether a restart of journald is left for the next boot: docker's containers would lose their
/// output, and may die of it (moby#19728).
pub fn leaves_journald(intent: &InstallIntent, here: Circumstances) -> bool {
    here.live && changes_journald(&intent.build.node_files) && !restarts_journald(intent, here)
}

fn restarts_journald(intent: &InstallIntent, here: Circumstances) -> bool {
    intent.restart_journald || here.running_containers == 0
}

fn changes_journald(node_files: &[NodeFile]) -> bool {
    node_files.iter().any(|f| f.path.starts_with(layout::JOURNALD_SETTINGS))
}

/// The node files without the two units whose work is ours: downloading, and setting up at boot.
fn ours_instead(node_files: &[NodeFile]) -> Vec<NodeFile> {
    let replaced = [layout::unit("dcos-download.service"), layout::SETUP_UNIT.into()];
    node_files.iter().filter(|f| !replaced.contains(&f.path)).cloned().collect()
}

fn obstacles(wanted: &[Account], accounts: &Accounts, manual: bool) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for Account { user, group } in wanted {
        let exists = accounts.has_user(user);
        match group {
            _ if manual && !exists => found.push(Obstacle::ManualAccount { user: user.clone() }),
            Some(group) if exists && !accounts.is_in(user, group) => {
                found.push(Obstacle::OtherGroup { user: user.clone(), group: group.clone() })
            }
            Some(group)
                if !accounts.has_group(group)
                    && !wanted.iter().any(|a| a.user == *group && a.group.is_none()) =>
            {
                found.push(Obstacle::NoGroup { user: user.clone(), group: group.clone() });
            }
            _ => {}
        }
    }
    found
}

/// The receipt of an install; its objects and its snapshot are filled in from the journal.
pub fn receipt(intent: &InstallIntent, dcos_node: &str, installed_at: &str) -> Receipt {
    Receipt {
        schema: SCHEMA,
        dcos_node: dcos_node.to_owned(),
        installed_at: installed_at.to_owned(),
        adopted: false,
        role: intent.role,
        build: intent.build.clone(),
        version: intent.version.clone(),
        skips: intent.skips.clone(),
        warnings: intent.warnings.clone(),
        objects: Vec::new(),
        snapshot: None,
        trust: None,
        accepted: Vec::new(),
    }
}

fn file(path: &str, mode: u32, content: &str) -> Action {
    Action::PlaceFile { path: path.into(), mode, content: content.as_bytes().to_vec() }
}

fn link(path: &str, target: &str) -> Action {
    Action::PlaceLink { path: path.into(), target: target.into() }
}
