//! systemd over D-Bus, and the only use of the D-Bus library.
//!
//! [`Systemd`] is what can be asked of it; [`connect`] gives the real one, and `Fake` (feature
//! `fake`) one for tests. Only members that systemd 219 has are needed; what came later is optional
//! in the answers. The members, properties and states are those of `org.freedesktop.systemd1(5)`.

mod bus;
mod cancellable;
mod error;
#[cfg(feature = "fake")]
mod fake;
mod interfaces;
mod jobs;
mod link;
mod neighbour;
mod properties;
mod socket;
mod sockets;

use std::path::PathBuf;
use std::time::Duration;

pub use bus::{Bus, connect};
pub use cancellable::Cancellable;
pub use error::{Error, Refusal};
#[cfg(feature = "fake")]
pub use fake::{Behaviour, Call, Fake};
pub use sockets::Sockets;

/// The manager of the machine's units.
///
/// Every call but [`Systemd::wait`] has a time limit, so that a manager that hangs is
/// [`Error::Deadline`]. Names are whole unit names (`a.service`); a name that is none is
/// [`Error::Call`] with `InvalidArgs`. Besides what the methods say, each can end in
/// [`Error::AccessDenied`], [`Error::Deadline`], [`Error::NotRunning`] where a lost connection
/// cannot be made again, and [`Error::Call`].
#[async_trait::async_trait]
pub trait Systemd: Send + Sync {
    /// The version as it calls itself, for example `219` or `252.39-1~deb12u1`.
    async fn version(&self) -> Result<String, Error>;

    /// Reads all unit files again, and returns when that is done. Jobs go on meanwhile.
    async fn reload(&self) -> Result<(), Error>;

    /// Links `units` into `/etc/systemd/system/<target>.wants`, whatever their `[Install]` sections
    /// say, and returns the links it had to make. Needs a [`Systemd::reload`] to take effect.
    ///
    /// A unit is a name with a file where systemd looks for them, or an absolute path.
    /// [`Error::NoSuchUnit`] where the target or a unit has no file; [`Error::UnitExists`] where a
    /// file has the name of the link. A link that leads elsewhere is that too, or is replaced
    /// (systemd 252).
    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error>;

    /// Queues a start, with all that the unit requires, in place of a conflicting job (mode
    /// `replace`).
    ///
    /// Asked again when the connection ended before the answer: a oneshot may then run twice.
    /// [`Error::NoSuchUnit`] where there is no file; [`Error::Call`] where the file is bad or
    /// masked.
    async fn start(&self, unit: &str) -> Result<Job, Error>;

    /// Queues a stop; otherwise as [`Systemd::start`]. [`Error::NoSuchUnit`] only where the unit is
    /// down as well.
    async fn stop(&self, unit: &str) -> Result<Job, Error>;

    /// Queues a stop and a start, or only a start for a unit that is down; otherwise as
    /// [`Systemd::start`].
    ///
    /// [`Error::Disconnected`] when the connection ended before the answer: to repeat it might
    /// restart the unit twice.
    async fn restart(&self, unit: &str) -> Result<Job, Error>;

    /// Sends a signal to the main process of a service, as `systemctl kill --kill-who=main` does.
    ///
    /// [`Error::NoSuchProcess`] where it has none; [`Error::Disconnected`] when the connection
    /// ended before the answer: a program may count signals.
    async fn kill_main(&self, service: &str, signal: i32) -> Result<(), Error>;

    /// Waits until the job has ended, at most for `limit`: then it is [`Error::Deadline`], and the
    /// job goes on.
    ///
    /// A job that ended while nobody was connected to systemd is judged by the state of its unit.
    /// Where that tells nothing (a oneshot that is over and unloaded) the result is
    /// `Other("lost")`.
    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error>;

    /// The units of these names, in this order; `load` is `not-found` for one that has no file.
    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error>;

    /// All units that systemd has in memory.
    async fn loaded_units(&self) -> Result<Vec<Unit>, Error>;

    /// What only services have. A service without a file has a `load_error`; [`Error::Call`] for a
    /// unit of another kind.
    async fn service(&self, name: &str) -> Result<Service, Error>;

    /// Forgets that the unit failed, and its count of starts; nothing to do for a unit that is not
    /// in memory.
    async fn reset_failed(&self, unit: &str) -> Result<(), Error>;

    /// Makes another daemon of the network read its files again: over the system bus only, and it
    /// must run.
    ///
    /// [`Error::Call`] with `UnknownMethod` from a networkd before systemd 244, and wherever there
    /// is no bus.
    async fn reload_neighbour(&self, neighbour: Neighbour) -> Result<(), Error>;

    /// Removes variables from the environment that systemd gives to all services; absent ones are
    /// ignored.
    async fn unset_environment(&self, names: &[String]) -> Result<(), Error>;

    /// Sets variables of that environment, each as `NAME=value`.
    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error>;

    /// That environment, as `NAME=value`.
    async fn environment(&self) -> Result<Vec<String>, Error>;
}

/// A daemon beside systemd that reads what DC/OS writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// `org.freedesktop.network1(5)`
    Networkd,
    /// `org.freedesktop.NetworkManager`
    NetworkManager,
}

impl Neighbour {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Neighbour::Networkd => "systemd-networkd.service",
            Neighbour::NetworkManager => "NetworkManager.service",
        }
    }
}

/// A link that systemd made or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `symlink` or `unlink`.
    pub kind: String,
    /// The link itself.
    pub link: PathBuf,
    /// Where it leads; empty for `unlink`.
    pub target: PathBuf,
}

/// A job in systemd's queue, or one that has left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The unit it is for.
    pub unit: String,
    /// What was asked.
    pub kind: JobKind,
    /// Its object path, `/org/freedesktop/systemd1/job/<number>`.
    path: String,
    /// When it was asked for, in microseconds of the monotonic clock, which is the one that
    /// systemd's states use.
    queued: u64,
}

/// What a job does to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Brings it up.
    Start,
    /// Brings it down.
    Stop,
    /// Brings it down and up again.
    Restart,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// As asked, or there was nothing to do, or a condition of the unit does not hold.
    Done,
    /// The unit failed.
    Failed,
    /// A unit that this one requires failed.
    Dependency,
    /// Another job took its place, or somebody cancelled it.
    Canceled,
    /// The job's own time limit (`JobTimeoutSec=`).
    Timeout,
    /// It did not apply to the unit in its present state.
    Skipped,
    /// Another word of systemd's (`invalid`, `assert`, `unsupported`, `collected`, `once`), or
    /// `lost`, see [`Systemd::wait`].
    Other(String),
}

impl From<&str> for JobResult {
    fn from(word: &str) -> JobResult {
        match word {
            "done" => JobResult::Done,
            "failed" => JobResult::Failed,
            "dependency" => JobResult::Dependency,
            "canceled" => JobResult::Canceled,
            "timeout" => JobResult::Timeout,
            "skipped" => JobResult::Skipped,
            other => JobResult::Other(other.to_owned()),
        }
    }
}

/// The state of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The name it was asked by, or the one it is listed by.
    pub name: String,
    /// `LoadState`: `loaded`, `not-found`, `bad-setting` (219: `error`), `error`, `masked`.
    pub load: String,
    /// `ActiveState`: `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    pub active: String,
    /// `SubState`, which depends on the kind of unit: `running`, `exited`, `dead`, `start-pre`,
    /// `auto-restart`.
    pub sub: String,
    /// `Description`.
    pub description: String,
    /// Whether a job for it is in the queue.
    pub job_pending: bool,
}

/// What systemd knows of a service beyond its state. Times are microseconds of the monotonic clock,
/// 0 for never.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// `Result`: `success`, or why it failed last: `exit-code`, `signal`, `timeout`,
    /// `start-limit-hit` (219: `start-limit`).
    pub result: String,
    /// `Restart`: `always`, `on-failure`, `no`.
    pub restart: String,
    /// `RestartUSec`: how long after its end it is started again, in microseconds.
    pub restart_micros: u64,
    /// Whether it was not started last time because a condition of it (`Condition...=`) does not
    /// hold.
    pub condition_failed: bool,
    /// `MainPID`, 0 where none runs.
    pub main_pid: u32,
    /// `ExecMainPID`, which stays after the process has ended.
    pub exec_main_pid: u32,
    /// `ExecMainCode`, a `CLD_*` number of `sigaction(2)`: 1 exited, 2 killed, 3 dumped; 0 while it
    /// runs.
    pub exec_main_code: i32,
    /// `ExecMainStatus`: the exit status, or the signal.
    pub exec_main_status: i32,
    /// `ExecMainStartTimestampMonotonic`.
    pub exec_main_start_monotonic: u64,
    /// `ExecMainExitTimestampMonotonic`.
    pub exec_main_exit_monotonic: u64,
    /// `NRestarts`, how often it was restarted by itself; none before systemd 235.
    pub restarts: Option<u32>,
    /// `ActiveEnterTimestampMonotonic`.
    pub active_enter_monotonic: u64,
    /// `ActiveExitTimestampMonotonic`.
    pub active_exit_monotonic: u64,
    /// `InactiveEnterTimestampMonotonic`.
    pub inactive_enter_monotonic: u64,
    /// `InactiveExitTimestampMonotonic`.
    pub inactive_exit_monotonic: u64,
    /// The text of `LoadError`, where the unit could not be loaded.
    pub load_error: Option<String>,
    /// `ExecStartPre`, in order.
    pub start_pre: Vec<Command>,
}

/// A command line of a service and its last run. Times are microseconds of the monotonic clock, 0
/// for never.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The program.
    pub path: PathBuf,
    /// Its arguments, the zeroth too.
    pub argv: Vec<String>,
    /// Whether its failure is no failure of the unit (`-` in the unit file).
    pub ignore_failure: bool,
    /// When it started last.
    pub start_monotonic: u64,
    /// When it ended last.
    pub exit_monotonic: u64,
    /// Its last process.
    pub pid: u32,
    /// How it ended, a `CLD_*` number of `sigaction(2)`: 1 exited, 2 killed, 3 dumped.
    pub code: i32,
    /// The exit status, or the signal.
    pub status: i32,
}
