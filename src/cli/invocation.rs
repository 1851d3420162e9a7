//! A command line that was understood, and what it promises.

mod inputs;
mod record;

use std::path::PathBuf;

use super::global::Printing;
use crate::command::{
    bundle, fetch, install, preflight, publish, recover, serve, status, uninstall, verify, wait,
};
use crate::dcos::role::Role;

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// The root directory of the node.
    pub root: PathBuf,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How to print.
    pub printing: Printing,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Install a role, and perhaps wait until it has come to a level.
    Install(install::Request, Option<wait::Wish>),
    /// Fetch and unpack, nothing else.
    Fetch(fetch::Request),
    /// Check, change nothing.
    Preflight {
        /// What to check.
        request: preflight::Request,
        /// Warnings and unknowns count.
        strict: bool,
        /// The file of a script to try instead of the build's.
        ip_detect: Option<PathBuf>,
    },
    /// Remove DC/OS.
    Uninstall(uninstall::Request),
    /// Write a receipt for a node of the classic installer.
    Adopt,
    /// Tell how the node is, perhaps after waiting for a level.
    Status(status::Request),
    /// Compare what stands with what was installed.
    Verify(verify::Request),
    /// Collect what support needs.
    Bundle(bundle::Request),
    /// Go on with what was interrupted.
    Recover(recover::Request),
    /// Give a serve directory an index and a stamped program.
    Publish(publish::Request),
    /// Serve a directory.
    Serve(serve::Request),
    /// Tell what a check means.
    Explain(String),
    /// Tell which checks there are.
    List(Option<Role>),
    /// Print a text that was made from this very command line's definition.
    Print(String),
}

impl Invocation {
    /// Whether the command promises to change nothing, so that the kernel may hold it to that.
    pub fn must_not_write(&self) -> bool {
        match &self.command {
            Command::Install(request, _) => request.dry_run,
            Command::Uninstall(request) => request.dry_run,
            Command::Fetch(request) => request.dry_run,
            Command::Publish(request) => request.check,
            Command::Preflight { .. } => true,
            Command::Verify(request) => !request.online,
            Command::Adopt
            | Command::Status(_)
            | Command::Bundle(_)
            | Command::Recover(_)
            | Command::Explain(_)
            | Command::List(_)
            | Command::Print(_) => false,
            Command::Serve(_) => false,
        }
    }

    /// Whether the command is for the bootstrap server: then this machine is no node.
    pub fn is_for_server(&self) -> bool {
        matches!(self.command, Command::Publish(_) | Command::Serve(_))
    }

    /// The command in one line, for others who find the lock taken. Without URLs: they may hold
    /// passwords.
    pub fn words(&self) -> String {
        match (self.name(), &self.command) {
            (Some(name), Command::Install(request, _)) => {
                format!("dcos-node {name} {}", request.role)
            }
            (Some(name), _) => format!("dcos-node {name}"),
            (None, _) => "dcos-node".into(),
        }
    }
}
