//! Runs the build's detection scripts as DC/OS runs them, without installing anything.

use std::ffi::OsString;
use std::time::Duration;

use crate::dcos::bytes::Bytes;
use crate::dcos::settings::Settings;
use crate::dcos::{detected, layout};
use crate::system::process::{self, Output};
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
    /// Each run, in the environment that DC/OS' units give it. After one that failed there are no
    /// more.
    pub runs: Vec<Run>,
    /// One run without the proxy settings, if those with them failed.
    pub without_proxy: Option<Run>,
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
}

/// DC/OS gives up after this time (`dcos-go`, nodeutil).
const LIMIT: Duration = Duration::from_secs(10);
/// The address must not change from one caller to the next.
const RUNS: usize = 3;

impl Identity {
    /// Runs every script that the build has; `instead` is tried in place of its ip-detect.
    pub async fn look(root: &Root, settings: &Settings, instead: Option<&[u8]>) -> Identity {
        let proxy = &settings.proxy;
        let ip = instead.or(settings.detect_ip.as_deref());
        let public = settings
            .detect_ip_public
            .as_deref()
            .filter(|text| settings.detect_ip.as_deref() != Some(text));
        let (ip, ip6, public, fault_domain) = tokio::join!(
            detection(ip, RUNS, proxy, |out| detected::ipv4(out).is_ok()),
            detection(written(settings.detect_ip6.as_deref()), 1, proxy, |out| detected::ipv6(out)
                .is_ok()),
            detection(written(public), 1, proxy, |out| detected::address_or_name(out).is_ok()),
            detection(written(settings.detect_fault_domain.as_deref()), 1, proxy, |out| {
                detected::fault_domain(out).is_ok()
            }),
        );
        let kept = root.text(layout::KEPT_ADDRESS);
        let kept_address = kept
            .map(|text| text.map(|text| text.trim().to_owned()))
            .map_err(|e| e.to_string())
            .transpose();
        Identity { ip, ip6, public, fault_domain, kept_address }
    }
}

/// A build without a script has an empty one in its place.
fn written(script: Option<&[u8]>) -> Option<&[u8]> {
    script.filter(|text| !text.trim_ascii().is_empty())
}

async fn detection(
    script: Option<&[u8]>,
    times: usize,
    proxy: &[(String, String)],
    is_right: fn(&[u8]) -> bool,
) -> Option<Detection> {
    let script = script?;
    let mut detection = Detection {
        for_a_shell: detected::is_for_a_shell(script),
        with_proxy: !proxy.is_empty(),
        runs: Vec::new(),
        without_proxy: None,
    };
    for _ in 0..times {
        detection.runs.push(run(script, proxy).await);
        if detection.runs.last().is_some_and(|run| run.failure.is_some()) {
            break;
        }
    }
    // A wrong page of a proxy may well come with status 0, so that any doubt is reason enough to
    // compare.
    let doubtful =
        |run: &Run| run.failure.is_some() || !run.stderr.is_empty() || !is_right(&run.stdout);
    if detection.with_proxy && detection.runs.iter().any(doubtful) {
        detection.without_proxy = Some(run(script, &[]).await);
    }
    Some(detection)
}

async fn run(script: &[u8], proxy: &[(String, String)]) -> Run {
    let mut environment: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), layout::PROGRAM_PATH.into()),
        ("LD_LIBRARY_PATH".into(), layout::LIBRARIES.into()),
    ];
    environment.extend(proxy.iter().map(|(name, value)| (name.into(), value.into())));
    match process::run_script(script, &environment, LIMIT).await {
        Ok(output) => Run {
            failure: failure(&output),
            stderr: end_of(&output.stderr.bytes),
            took: output.duration,
            stdout: output.stdout.bytes,
        },
        Err(process::Error::Deadline { stdout, stderr, .. }) => Run {
            failure: Some(format!(
                "did not end within {} s and was killed with its children",
                LIMIT.as_secs()
            )),
            stdout: stdout.bytes,
            stderr: end_of(&stderr.bytes),
            took: LIMIT,
        },
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            Run {
                failure: Some(format!("could not be run: {error}{cause}")),
                stdout: Vec::new(),
                stderr: String::new(),
                took: Duration::ZERO,
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::files;

    fn settings(script: &str) -> Settings {
        Settings { detect_ip: Some(script.as_bytes().to_vec()), ..Settings::default() }
    }

    async fn look(settings: &Settings) -> Identity {
        let directory = tempfile::tempdir().unwrap();
        Identity::look(&Root::new(directory.path()), settings, None).await
    }

    #[tokio::test]
    async fn the_environment_is_that_of_the_units_and_nothing_else() {
        let mut settings = settings("#!/bin/sh\nexec /usr/bin/env\n");
        settings.proxy = vec![("http_proxy".into(), "http://proxy:3128".into())];
        let ip = look(&settings).await.ip.unwrap();
        let text = String::from_utf8(ip.runs[0].stdout.clone()).unwrap();
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|l| l.split('=').next())
            .filter(|n| !["PWD", "_", "SHLVL", "OLDPWD"].contains(n))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LD_LIBRARY_PATH", "PATH", "http_proxy"]);
    }

    #[tokio::test]
    async fn a_script_that_hangs_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        // The child holds the output open, too.
        let script = format!("#!/bin/sh\nsleep 1000 &\necho $$ $! >{}\nwait\n", pids.display());
        let text = loop {
            let ip = look(&settings(&script)).await.ip.unwrap();
            assert_eq!(ip.runs.len(), 1, "a script that hangs is not tried again");
            assert!(ip.runs[0].failure.as_deref().unwrap().contains("did not end within 10 s"));
            // A machine that stalls for so long did not even begin with it.
            if let Some(text) =
                files::read(&pids, 100).unwrap().filter(|text| text.ends_with(b"\n"))
            {
                break text;
            }
        };
        for pid in String::from_utf8(text).unwrap().split_whitespace() {
            let stat = std::path::Path::new("/proc").join(pid).join("stat");
            // What is killed is a zombie until whoever is responsible has reaped it; nobody need do
            // that in a container.
            let is_gone = || {
                let text = files::read(&stat, 4096).ok().flatten();
                text.is_none_or(|t| {
                    String::from_utf8_lossy(&t)
                        .rsplit(')')
                        .next()
                        .unwrap()
                        .trim_start()
                        .starts_with(['Z', 'X'])
                })
            };
            let mut gone = is_gone();
            for _ in 0..1200 {
                if gone {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                gone = is_gone();
            }
            assert!(gone, "{pid} is still there");
        }
    }

    #[tokio::test]
    async fn a_script_that_prints_a_gigabyte_is_cut_off() {
        let ip =
            look(&settings("#!/bin/sh\nexec head -c 1000000000 /dev/zero\n")).await.ip.unwrap();
        let run = &ip.runs[0];
        assert!(run.stdout.len() <= process::CAPTURE_LIMIT && ip.runs.len() == 1);
        assert!(run.failure.as_deref().unwrap().contains("more than 65 kB"), "{:?}", run.failure);
        let ip = look(&settings("#!/bin/sh\nexec yes\n")).await.ip.unwrap();
        assert!(
            ip.runs[0].took < LIMIT && ip.runs[0].failure.is_some(),
            "a script that prints for ever runs to the limit"
        );
    }

    #[tokio::test]
    async fn a_failure_with_the_proxy_is_compared_with_a_run_without() {
        let mut settings =
            settings("#!/bin/sh\n[ -z \"$http_proxy\" ] || exit 7\necho 192.0.2.7\n");
        assert!(look(&settings).await.ip.unwrap().without_proxy.is_none());
        settings.proxy = vec![("http_proxy".into(), "http://proxy:3128".into())];
        let ip = look(&settings).await.ip.unwrap();
        assert_eq!(ip.runs[0].failure.as_deref(), Some("exited with status 7"));
        assert!(ip.without_proxy.unwrap().failure.is_none());
    }

    #[tokio::test]
    async fn scripts_that_a_build_does_not_really_have_are_not_run() {
        let mut settings = settings("#!/bin/sh\necho 192.0.2.7\n");
        settings.detect_ip6 = Some(b"\n".to_vec());
        settings.detect_ip_public = settings.detect_ip.clone();
        let identity = look(&settings).await;
        assert_eq!(identity.ip.unwrap().runs.len(), RUNS);
        assert!(
            identity.ip6.is_none()
                && identity.public.is_none()
                && identity.fault_domain.is_none()
                && identity.kept_address.is_none()
        );
    }
}
