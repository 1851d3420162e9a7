//! Runs the build's detection scripts as DC/OS runs them, without installing anything.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::excuse::{self, Excuse};
use crate::dcos::bytes::Bytes;
use crate::dcos::settings::Settings;
use crate::dcos::{detected, layout};
use crate::system::confine::{Confinement, Limit, Limits};
use crate::system::process::{self, Confined, Output, Script};
use crate::system::root::Root;

/// What the scripts did, and what an earlier install kept.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// `ip-detect`; none if there is no build to take it from.
    pub ip: Option<Detection>,
    /// `ip6-detect`; none if the build has an empty one.
    pub ip6: Option<Detection>,
    /// `ip-detect-public`; none if it is ip-detect itself.
    pub public: Option<Detection>,
    /// `fault-domain-detect`; none if the build has none.
    pub fault_domain: Option<Detection>,
    /// The text of `/var/lib/dcos/navstar/ip`, none if there is no such file; or why it cannot be
    /// read.
    pub kept_address: Option<Result<String, String>>,
}

/// What one script did.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Whether its first line names a shell.
    pub for_a_shell: bool,
    /// Whether it was run with the proxy settings of the build.
    pub with_proxy: bool,
    /// Each run, in the environment that DC/OS' units give it. After a slow one that failed there
    /// are no more.
    pub runs: Vec<Run>,
    /// One run without the proxy settings, if those with them failed.
    pub without_proxy: Option<Run>,
    /// One run as the user `nobody`, if those as root told an address. None if this process is not
    /// root's, or for scripts that only root asks.
    pub as_nobody: Option<Run>,
}

/// One run of a script.
#[derive(Clone, Debug)]
pub struct Run {
    /// Why it did not end as it should: not started, exited with another status than 0, killed.
    pub failure: Option<String>,
    /// What it wrote to standard output: at most the last 64 KiB.
    pub stdout: Vec<u8>,
    /// The last part of what it wrote to standard error, which dcos-checks takes for a failure.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    /// How it was confined; none if it was not started.
    pub confinement: Option<Confinement>,
    /// What perhaps only its confinement has caused.
    pub excuse: Option<Excuse>,
}

/// DC/OS gives ip-detect so long (`dcos-go`, nodeutil).
const LIMIT: Duration = Duration::from_secs(10);
/// DC/OS waits for the other scripts without a limit (`start_mesos.sh`); the checks do not.
const PATIENCE: Duration = Duration::from_secs(30);
/// A run that fails after this time is not repeated.
const SLOW: Duration = Duration::from_secs(1);
/// How often ip-detect is run: its address must not change from one caller to the next.
pub const RUNS: usize = 3;

impl Identity {
    /// Runs every script that the build has, each as its callers in DC/OS do; `instead` is tried in
    /// place of its ip-detect.
    pub async fn look(root: &Root, settings: &Settings, instead: Option<&[u8]>) -> Identity {
        let proxy = &settings.proxy;
        let ip = instead.or(settings.detect_ip.as_deref());
        let public = settings
            .detect_ip_public
            .as_deref()
            .filter(|text| settings.detect_ip.as_deref() != Some(text));
        let question = |name, text, is_right| Question { name, text, proxy, is_right, limit: None };
        let ip = question("detect_ip", ip, |out| detected::ipv4(out).is_ok());
        let ip = Question { limit: Some(LIMIT), ..ip };
        let ip6 = question("detect_ip6", written(settings.detect_ip6.as_deref()), |out| {
            detected::ipv6(out).is_ok()
        });
        let public = question("detect_ip_public", written(public), |out| {
            detected::address_or_name(out).is_ok()
        });
        let fault_domain = question(
            "detect_fault_domain",
            written(settings.detect_fault_domain.as_deref()),
            |out| detected::fault_domain(out).is_ok(),
        );
        let (ip, ip6, public, fault_domain) =
            tokio::join!(ip.asked_by_all(), ip6.asked(1), public.asked(1), fault_domain.asked(1));
        let kept = root.text(layout::KEPT_ADDRESS);
        let kept_address = kept
            .map(|text| text.map(|text| text.trim().to_owned()))
            .map_err(|e| e.to_string())
            .transpose();
        Identity { ip, ip6, public, fault_domain, kept_address }
    }
}

impl Identity {
    /// Every run of every script.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        let scripts = [&self.ip, &self.ip6, &self.public, &self.fault_domain].into_iter().flatten();
        scripts.flat_map(|script| script.runs.iter().chain(&script.as_nobody))
    }
}

/// A build without a script has an empty one in its place.
fn written(script: Option<&[u8]>) -> Option<&[u8]> {
    script.filter(|text| !text.trim_ascii().is_empty())
}

/// A script to run, and what a right answer is.
struct Question<'a> {
    name: &'static str,
    text: Option<&'a [u8]>,
    proxy: &'a [(String, String)],
    is_right: fn(&[u8]) -> bool,
    /// How long its callers wait, if they do not wait for ever.
    limit: Option<Duration>,
}

impl Question<'_> {
    /// What every service of DC/OS asks, root's and those of users of their own.
    async fn asked_by_all(&self) -> Option<Detection> {
        let mut detection = self.asked(RUNS).await?;
        let works = !detection.runs.iter().any(|run| self.is_doubtful(run));
        if works && let Some(text) = self.text.filter(|_| process::is_root()) {
            detection.as_nobody = Some(self.run(text, self.proxy, true).await);
        }
        Some(detection)
    }

    async fn asked(&self, times: usize) -> Option<Detection> {
        let script = self.text?;
        let mut detection = Detection {
            for_a_shell: detected::is_for_a_shell(script),
            with_proxy: !self.proxy.is_empty(),
            runs: Vec::new(),
            without_proxy: None,
            as_nobody: None,
        };
        for _ in 0..times {
            detection.runs.push(self.run(script, self.proxy, false).await);
            // A failure at once may be one of some; nobody waits for the end of three slow ones.
            if detection.runs.last().is_some_and(|run| run.failure.is_some() && run.took > SLOW) {
                break;
            }
        }
        // A wrong page of a proxy may well come with status 0, so that any doubt is reason enough
        // to compare; one good run clears the proxy.
        if detection.with_proxy && detection.runs.iter().all(|run| self.is_doubtful(run)) {
            detection.without_proxy = Some(self.run(script, &[], false).await);
        }
        Some(detection)
    }

    fn is_doubtful(&self, run: &Run) -> bool {
        run.failure.is_some() || !run.stderr.is_empty() || !(self.is_right)(&run.stdout)
    }

    async fn run(&self, script: &[u8], proxy: &[(String, String)], as_nobody: bool) -> Run {
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), layout::PROGRAM_PATH.into()),
            ("LD_LIBRARY_PATH".into(), layout::LIBRARIES.into()),
        ];
        environment.extend(proxy.iter().map(|(name, value)| (name.into(), value.into())));
        let path = Path::new(layout::DETECT_IP).with_file_name(self.name);
        let limits = Limits::default();
        let script = Script { text: script, path: &path, env: &environment, as_nobody, limits };
        match process::run_script(script, self.limit.unwrap_or(PATIENCE)).await {
            Ok(confined) => Run::of(script.text, self.limit.is_some(), confined),
            Err(error) => Run::without(script.text, &error),
        }
    }
}

impl Run {
    fn of(script: &[u8], is_limited: bool, confined: Confined) -> Run {
        let excuse = Excuse::find(script, is_limited, &confined);
        let Confined { output, confinement, limit, .. } = confined;
        Run {
            failure: limit.map(was_ended).or_else(|| failure(&output)),
            excuse,
            stderr: end_of(&output.stderr.bytes),
            took: output.duration,
            stdout: output.stdout.bytes,
            confinement: Some(confinement),
        }
    }

    /// A script that did not begin.
    fn without(script: &[u8], error: &process::Error) -> Run {
        let cause =
            std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
        let excuse = match error {
            process::Error::Confine { .. } | process::Error::Deadline { .. } => {
                Some(Excuse::NotConfined)
            }
            _ => excuse::missing_program(script).map(Excuse::AfterInstall),
        };
        Run {
            excuse,
            failure: Some(format!("could not be run: {error}{cause}")),
            stdout: Vec::new(),
            stderr: String::new(),
            took: Duration::ZERO,
            confinement: None,
        }
    }
}

fn was_ended(limit: Limit) -> String {
    match limit {
        Limit::Processes(most) => {
            format!("was ended: it had more than {most} processes at one time")
        }
        Limit::Memory(most) => format!("was ended: it used more than {} of memory", Bytes(most)),
        Limit::FileSize(most) => {
            format!("was ended: it wrote a file of more than {}", Bytes(most))
        }
        Limit::Time(most) => {
            format!("did not end within {} s and was killed with its children", most.as_secs())
        }
    }
}

fn failure(output: &Output) -> Option<String> {
    match (output.status, output.signal) {
        _ if output.stdout.truncated => {
            Some(format!("printed more than {}", Bytes(process::CAPTURE_LIMIT as u64)))
        }
        (Some(0), _) => None,
        (Some(status), _) => Some(format!("exited with status {status}")),
        (None, signal) => Some(format!("was ended by signal {}", signal.unwrap_or_default())),
    }
}

/// The last lines of a text in one line, short enough for a table.
fn end_of(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    let excess = line.chars().count().saturating_sub(SHOWN);
    if excess == 0 { line } else { format!("…{}", line.chars().skip(excess).collect::<String>()) }
}
