//! Detection scripts, confined: what they can do, what becomes of it, and what they are judged by.
//! The init that confines them is the program itself.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use dcos_node::dcos::settings::Settings;
use dcos_node::observe::excuse::Excuse;
use dcos_node::observe::ip_detect::Identity;
use dcos_node::system::confine::{self, Limit, Limits, View};
use dcos_node::system::process::{CAPTURE_LIMIT, Captured, Confined, Error, Script, run_script};
use dcos_node::system::root::Root;

/// For what ends by itself; what stays in the background stays for longer.
const LONG: Duration = Duration::from_secs(120);
const PATH: &str = "/opt/mesosphere/bin/detect_ip";

fn environment() -> Vec<(OsString, OsString)> {
    vec![("PATH".into(), "/usr/bin:/bin".into())]
}

async fn run_as(text: &[u8], as_nobody: bool, limit: Duration) -> Result<Confined, Error> {
    run_limited(text, as_nobody, Limits::default(), limit).await
}

async fn run_limited(
    text: &[u8],
    as_nobody: bool,
    limits: Limits,
    time: Duration,
) -> Result<Confined, Error> {
    confine::use_program(support::node::binary());
    let env = environment();
    let script = Script { text, path: Path::new(PATH), env: &env, as_nobody, limits };
    run_script(script, time).await
}

async fn run(text: impl AsRef<[u8]>) -> Confined {
    run_as(text.as_ref(), false, LONG).await.expect("the script is run")
}

fn text(captured: &Captured) -> &str {
    std::str::from_utf8(&captured.bytes).unwrap()
}

/// Whether a process on this machine has these words in its command line.
fn is_running(words: &str) -> bool {
    let of = |entry: std::io::Result<std::fs::DirEntry>| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    };
    std::fs::read_dir("/proc").unwrap().filter_map(of).any(|line| line.contains(words))
}

async fn look(settings: &Settings) -> Identity {
    confine::use_program(support::node::binary());
    let directory = tempfile::tempdir().unwrap();
    Identity::look(&Root::new(directory.path()), settings, None).await
}

fn settings(script: &str) -> Settings {
    Settings { detect_ip: Some(script.as_bytes().to_vec()), ..Settings::default() }
}

#[tokio::test]
async fn script_is_run_as_its_first_line_says() {
    let run_text = run("#!/bin/sh -e\n\
                        read line || echo no input\n\
                        [ \"$0\" -ef /opt/mesosphere/bin/detect_ip ] || [ -f \"$0\" ] || exit 4\n\
                        false\n\
                        echo not reached\n")
    .await;
    assert_eq!((run_text.output.status, text(&run_text.output.stdout)), (Some(1), "no input\n"));
    let bash = run("#! /usr/bin/env bash\necho \"$BASH_VERSION\"").await;
    assert!(text(&bash.output.stdout).len() > 2, "{bash:?}");
    let split = run("#!/usr/bin/env -S bash -eu\nfalse\n").await;
    assert_eq!(split.output.status, Some(1));
    let killed = run("#!/bin/sh\nkill -TERM $$\n").await;
    assert_eq!((killed.output.status, killed.output.signal), (None, Some(15)));
}

#[tokio::test]
async fn missing_interpreter_is_named() {
    let error = run_as(b"#!/no/such/shell\n", false, LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot run /no/such/shell");
    let Error::Start { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn script_may_read_itself_and_end_early() {
    let mut script = b"#!/bin/sh\nsed -n 's/^#@ //p' \"$0\"\nexit 7\n#@ found\n".to_vec();
    script.resize(500_000, b'#');
    let read = run(&script).await;
    assert_eq!((read.output.status, text(&read.output.stdout)), (Some(7), "found\n"));
}

#[tokio::test]
async fn what_a_script_writes_is_thrown_away() {
    if !support::is_root() {
        return;
    }
    // One that keeps its answer, one that needs a temporary file: each run is the first.
    let script = "#!/bin/bash\nset -eu\n\
                  [ -e /var/cache/escaped-answer ] && exit 3\n\
                  file=$(mktemp); echo 192.0.2.7 >$file; cp $file /var/cache/escaped-answer\n\
                  cat /var/cache/escaped-answer; rm -rf /usr/bin/tr /etc/hostname\n";
    for _ in 0..2 {
        let confined = run(script).await;
        assert_eq!(text(&confined.output.stdout), "192.0.2.7\n", "{confined:?}");
        assert_eq!(confined.confinement.view, View::CopyOnWrite);
        assert_eq!(confined.confinement.missing, []);
    }
    assert!(!Path::new("/var/cache/escaped-answer").exists());
    assert!(Path::new("/usr/bin/tr").exists());
}

#[tokio::test]
async fn hostile_script_is_refused_every_way_out() {
    if !support::is_root() {
        return;
    }
    let confined = run(support::HOSTILE_SCRIPT).await;
    assert_eq!(text(&confined.output.stdout), "127.0.0.1\n", "{confined:?}");
    assert!(!is_running("hostile-sleep"), "it outlived its run");
    let as_nobody = run_as(support::HOSTILE_SCRIPT.as_bytes(), true, LONG).await.unwrap();
    assert_eq!(text(&as_nobody.output.stdout), "127.0.0.1\n", "{as_nobody:?}");
    for directory in ["/", "/etc", "/usr", "/opt", "/root", "/var", "/run", "/dev/shm", "/tmp"] {
        let written = Path::new(directory).join("escaped-write");
        assert!(!written.exists(), "{}", written.display());
    }
}

#[tokio::test]
async fn nobody_is_nobody() {
    if !support::is_root() {
        return;
    }
    let script = b"#!/bin/sh\nid -u; id -G; cat /root/x /etc/shadow || echo refused\n[ -r $0 ]";
    let confined = run_as(script, true, LONG).await.unwrap();
    assert_eq!(text(&confined.output.stdout), "65534\n65534\nrefused\n", "{confined:?}");
    assert!(confined.output.success());
}

#[tokio::test]
async fn nothing_outlives_a_script() {
    // One that holds the output, one that does not, a daemon; and what still writes at the end is
    // heard all the same.
    let script = "#!/usr/bin/env bash\n\
                  sleep 301.25 &\n\
                  sleep 301.25 >/dev/null 2>&1 &\n\
                  setsid sh -c 'setsid sleep 301.25 >/dev/null 2>&1 &' &\n\
                  { sleep 0.1; echo late; } >&2 &\n";
    // On a machine that stalls the end may come before the late words.
    for _ in 0..20 {
        let confined = run(script).await;
        assert_eq!(confined.output.status, Some(0), "{confined:?}");
        assert!(!is_running("sleep 301.25"));
        if text(&confined.output.stderr) == "late\n" {
            return;
        }
    }
    panic!("what still writes at the end is never heard");
}

#[tokio::test]
async fn deadline_ends_a_script_with_its_daemons() {
    let script = b"#!/bin/sh\ntrap '' TERM\necho why >&2\n\
                   setsid sleep 302.25 &\nsleep 302.25\n";
    // Long enough for it to say something, on a machine that may be busy.
    for seconds in [3, 15, 60] {
        let limit = Duration::from_secs(seconds);
        let confined = run_as(script, false, limit).await.unwrap();
        assert_eq!(confined.limit, Some(Limit::Time(limit)), "{confined:?}");
        assert!(!is_running("sleep 302.25"));
        if text(&confined.output.stderr) == "why\n" {
            return;
        }
    }
    panic!("it was not heard");
}

#[tokio::test]
async fn dropped_run_ends_its_script() {
    let script = b"#!/bin/sh\nsetsid sleep 303.25 &\nsleep 303.25\n";
    let begun = async {
        while !is_running("sleep 303.25") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = run_as(script, false, LONG) => panic!("{ended:?}"),
        () = begun => {}
    }
    while is_running("sleep 303.25") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn script_has_no_descriptors_but_its_streams() {
    // The shell has its own script open besides.
    let script = "#!/bin/sh\nfor fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done\n";
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(run(script))).collect();
    for run in runs {
        let confined = run.await.unwrap();
        assert_eq!(text(&confined.output.stdout).lines().count(), 4, "{confined:?}");
    }
}

#[tokio::test]
async fn environment_of_a_script_is_that_of_units() {
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
async fn script_that_hangs_is_not_run_again() {
    let ip = look(&settings("#!/bin/sh\nsleep 1000\n")).await.ip.unwrap();
    assert_eq!(ip.runs.len(), 1);
    assert!(ip.runs[0].failure.as_deref().unwrap().contains("did not end within 10 s"));
}

#[tokio::test]
async fn script_that_prints_a_gigabyte_is_cut_off() {
    let ip = look(&settings("#!/bin/sh\nexec head -c 1000000000 /dev/zero\n")).await.ip.unwrap();
    let run = &ip.runs[0];
    assert!(run.stdout.len() <= CAPTURE_LIMIT);
    assert!(run.failure.as_deref().unwrap().contains("more than 65 kB"), "{:?}", run.failure);
    let ip = look(&settings("#!/bin/sh\nexec yes\n")).await.ip.unwrap();
    assert!(ip.runs[0].failure.is_some(), "{ip:?}");
}

#[tokio::test]
async fn failure_with_proxy_is_compared_with_a_run_without() {
    let mut settings = settings("#!/bin/sh\n[ -z \"$http_proxy\" ] || exit 7\necho 192.0.2.7\n");
    assert!(look(&settings).await.ip.unwrap().without_proxy.is_none());
    settings.proxy = vec![("http_proxy".into(), "http://proxy:3128".into())];
    let ip = look(&settings).await.ip.unwrap();
    assert_eq!(ip.runs[0].failure.as_deref(), Some("exited with status 7"));
    assert!(ip.without_proxy.unwrap().failure.is_none());
}

#[tokio::test]
async fn scripts_that_a_build_does_not_have_are_not_run() {
    let mut settings = settings("#!/bin/sh\necho 192.0.2.7\n");
    settings.detect_ip6 = Some(b"\n".to_vec());
    settings.detect_ip_public = settings.detect_ip.clone();
    let identity = look(&settings).await;
    let ip = identity.ip.unwrap();
    assert_eq!(ip.runs.len(), 3);
    assert_eq!(ip.as_nobody.is_some(), nix::unistd::geteuid().is_root());
    assert!(
        identity.ip6.is_none()
            && identity.public.is_none()
            && identity.fault_domain.is_none()
            && identity.kept_address.is_none()
    );
}

/// Limits that a test reaches with a few dozen processes and little memory.
const SMALL: Limits = Limits { processes: 30, memory: 100_000_000, file_size: 1_000_000 };

#[tokio::test]
async fn script_over_a_limit_is_ended_and_the_limit_is_named() {
    let too_many = "#!/bin/sh\nfor i in $(seq 40); do sleep 306.25 & done\nwait\n";
    let in_one = "#!/bin/sh\nperl -e '$x = \"x\" x 120_000_000; sleep 306.25'\n";
    let together = "#!/bin/sh\nfor i in 1 2 3 4; do\n\
                    perl -e '$x = \"x\" x 30_000_000; sleep 306.25' &\ndone\nwait\n";
    let long_file = "#!/bin/sh\nhead -c 1000001 /dev/zero >\"${TMPDIR:-/tmp}/file\"\n";
    for (script, limit) in [
        (too_many, Limit::Processes(30)),
        (in_one, Limit::Memory(100_000_000)),
        (together, Limit::Memory(100_000_000)),
        (long_file, Limit::FileSize(1_000_000)),
    ] {
        let confined = run_limited(script.as_bytes(), false, SMALL, LONG).await.unwrap();
        assert_eq!(confined.limit, Some(limit), "{confined:?}");
        assert!(!is_running("sleep 306.25"), "{script}");
    }
}

#[tokio::test]
async fn script_within_limits_is_left_alone() {
    // Memory that many share is counted once, and files are limited one by one.
    let script = "#!/bin/bash\nset -eu\n\
                  for i in $(seq 20); do sleep 1 & done\nwait\n\
                  perl -e '$n = 25_000_000; $x = \"x\" x $n; fork for 1 .. 2; sleep 1'\n\
                  for i in 1 2; do head -c 900000 /dev/zero >\"${TMPDIR:-/tmp}/$i\"; done\n\
                  [ $(ulimit -n) -le 4096 ]\n";
    let confined = run_limited(script.as_bytes(), false, SMALL, LONG).await.unwrap();
    assert_eq!((confined.limit, confined.output.status), (None, Some(0)), "{confined:?}");
}

#[tokio::test]
async fn limit_of_a_script_excuses_it() {
    let script = "#!/bin/sh\nhead -c 64000001 /dev/zero >\"${TMPDIR:-/tmp}/file\"\n";
    let ip = look(&settings(script)).await.ip.unwrap();
    let run = &ip.runs[0];
    assert_eq!(run.failure.as_deref(), Some("was ended: it wrote a file of more than 64 MB"));
    assert_eq!(run.excuse, Some(Excuse::Limit(Limit::FileSize(64_000_000))));
}

#[test]
fn limits_of_scripts_are_the_documented_ones() {
    let Limits { processes, memory, file_size } = Limits::default();
    assert_eq!((processes, memory, file_size), (512, 1_000_000_000, 64_000_000));
}

#[tokio::test]
async fn script_that_needs_a_program_of_packages_is_excused() {
    let missing = "/opt/mesosphere/bin/no-such-program";
    for script in [
        format!("#!{missing}\n"),
        format!("#!/bin/sh\nset -e\naddress=$({missing} --address)\necho $address\n"),
    ] {
        let ip = look(&settings(&script)).await.ip.unwrap();
        let run = &ip.runs[0];
        assert!(run.failure.is_some(), "{run:?}");
        assert_eq!(run.excuse, Some(Excuse::AfterInstall(missing.to_owned())), "{run:?}");
    }
}

#[tokio::test]
async fn only_ip_detect_has_to_end_within_10_s() {
    let mut settings = settings("#!/bin/sh\nsleep 1000\n");
    let slow = "#!/bin/sh\nsleep 11\necho slow\n";
    settings.detect_ip6 = Some(slow.into());
    settings.detect_ip_public = Some(slow.into());
    settings.detect_fault_domain = Some(slow.into());
    let identity = look(&settings).await;
    assert!(identity.ip.unwrap().runs[0].failure.is_some());
    for other in [identity.ip6, identity.public, identity.fault_domain] {
        let run = &other.as_ref().unwrap().runs[0];
        assert_eq!((run.failure.as_deref(), &run.stdout[..]), (None, &b"slow\n"[..]), "{run:?}");
    }
}
