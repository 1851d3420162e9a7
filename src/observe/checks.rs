//! DC/OS' own poststart checks, run by its own runner.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::dcos::cluster::{FailedCheck, failed_checks};
use crate::dcos::layout;
use crate::system::process;
use crate::system::program::Program;
use crate::system::root::Root;

/// The checks of a node with dozens of units take long on a busy one (`components`, 30 s).
const LIMIT: Duration = Duration::from_secs(90);
/// So long a pass is believed: who waits looks every second, and the checks cost the node more than
/// that.
const BELIEVED: Duration = Duration::from_secs(30);
/// And so long a failure, which is to be seen to pass soon.
const DISBELIEVED: Duration = Duration::from_secs(5);

/// What the checks found; an error is one of the runner itself.
pub type Found = Result<Vec<FailedCheck>, String>;

/// The checks, with what they found last in a wait.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    last: Option<(Instant, Found)>,
}

impl Checks {
    /// Runs them, unless they ran a moment ago; none where the build has no runner.
    pub(super) async fn run(&mut self, root: &Root) -> Option<Found> {
        if let Some((when, found)) = &self.last
            && when.elapsed() < how_long(found)
        {
            return Some(found.clone());
        }
        let found = run(root).await?.map(|failed| {
            failed.into_iter().filter(|check| !is_of_units(&check.name)).collect::<Vec<_>>()
        });
        self.last = Some((Instant::now(), found.clone()));
        Some(found)
    }
}

fn how_long(found: &Found) -> Duration {
    if found.as_ref().is_ok_and(Vec::is_empty) { BELIEVED } else { DISBELIEVED }
}

/// dcos-diagnostics takes every unit for as important as any other (`dcos-docs#62`). The checks are
/// run where all units that the node needs are well by a look of our own, so that what it complains
/// of is one that the node does without.
fn is_of_units(check: &str) -> bool {
    check.starts_with("components_")
}

async fn run(root: &Root) -> Option<Found> {
    let program =
        layout::CHECK_RUNNERS.iter().map(|path| root.resolved(path)).find(|path| path.is_file())?;
    let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let command = process::Command {
        program: Program::script(program.clone()),
        args: ["check", "node-poststart"].map(OsString::from).to_vec(),
        env: vec![set("PATH", layout::PROGRAM_PATH), set("LD_LIBRARY_PATH", layout::LIBRARIES)],
    };
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    Some(match process::run(&command, LIMIT).await {
        Ok(output) => failed_checks(&output.stdout.bytes).map_err(|why| format!("{name}: {why}")),
        Err(error) => Err(error.to_string()),
    })
}
