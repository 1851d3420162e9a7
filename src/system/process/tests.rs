#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at /proc and make their own files"
)]

use std::fs;

use super::*;

/// For what ends by itself; what stays in the background stays for longer.
const LONG: Duration = Duration::from_secs(120);

fn sh(script: &str) -> Command {
    Command {
        program: Program::script("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: path(),
    }
}

fn path() -> Vec<(OsString, OsString)> {
    vec![("PATH".into(), "/usr/bin:/bin".into())]
}

/// Writes a program. By another process: what this one has open for writing, a child that a test
/// beside this one has just started may still hold open, and then it cannot be run.
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut shell = command.spawn().unwrap();
    io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

fn text(captured: &Captured) -> &str {
    std::str::from_utf8(&captured.bytes).unwrap()
}

fn is_running(pid: &str) -> bool {
    // A zombie counts as gone: who reaps it is init's business.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}

/// Without the one that the listing itself needs, which is closed by then.
const LIST_DESCRIPTORS: &str =
    r#"for fd in /proc/$$/fd/*; do if [ -e "$fd" ]; then echo "${fd##*/}"; fi; done"#;

/// The descriptors above 2 that whoever started the tests left open for every program.
fn inheritable() -> Vec<String> {
    const CLOEXEC: u32 = 0o2_000_000;
    let flags = |fd: &str| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        u32::from_str_radix(info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim(), 8)
            .ok()
    };
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|fd| {
            fd.parse::<u32>().unwrap() > 2 && flags(fd).is_some_and(|flags| flags & CLOEXEC == 0)
        })
        .collect()
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

async fn is_gone(pid: &str) -> bool {
    for _ in 0..3000 {
        if !is_running(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn process_result_has_status_streams_and_signal() {
    let output = run(&sh("echo out; echo err >&2; exit 3"), LONG).await.unwrap();
    assert_eq!((output.status, output.signal, output.success()), (Some(3), None, false));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n", "err\n"));
    let output = run(&sh("kill -TERM $$"), LONG).await.unwrap();
    assert_eq!((output.status, output.signal), (None, Some(15)));
    assert!(output.duration > Duration::ZERO && output.duration < LONG);
}

#[tokio::test]
async fn process_gets_only_the_given_environment() {
    let env = vec![("ONLY".into(), "this one".into())];
    let output =
        run(&Command { program: Program::script("/usr/bin/env"), args: vec![], env }, LONG)
            .await
            .unwrap();
    assert_eq!(text(&output.stdout), "ONLY=this one\n");
    let output = run(&sh(&format!("cat; pwd; {LIST_DESCRIPTORS}")), LONG).await.unwrap();
    let expected: Vec<_> =
        ["/", "0", "1", "2"].into_iter().map(str::to_owned).chain(inheritable()).collect();
    assert_eq!(sorted(text(&output.stdout)), sorted(&expected.join("\n")));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let command =
        Command { program: Program::script("/no/such/program"), args: vec![], env: vec![] };
    let error = run(&command, LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot run /no/such/program");
    assert!(
        matches!(error, Error::Start { source, .. } if source.kind() == io::ErrorKind::NotFound)
    );
}

#[tokio::test]
async fn the_deadline_kills_the_children_too() {
    // Long enough for it to say something, on a machine that may be busy.
    for milliseconds in [1500, 15_000, 60_000] {
        let limit = Duration::from_millis(milliseconds);
        let error = run(&sh("trap '' TERM; sleep 1000 & echo $!; echo why >&2; wait"), limit)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("/bin/sh was killed: it did not end within {limit:?}")
        );
        let Error::Deadline { stdout, stderr, .. } = error else { panic!("{error:?}") };
        if text(&stderr) == "why\n" {
            assert!(is_gone(text(&stdout).trim()).await);
            return;
        }
    }
    panic!("it was not heard");
}

#[tokio::test]
async fn a_dropped_future_kills_the_children_too() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("pid");
    let command = sh(&format!("sleep 1000 & echo $! > {}; wait", file.display()));
    let has_begun = async {
        while !fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = run(&command, LONG) => panic!("{ended:?}"),
        () = has_begun => {}
    }
    assert!(is_gone(fs::read_to_string(&file).unwrap().trim()).await);
}

#[tokio::test]
async fn background_process_does_not_delay_the_result() {
    let started = Instant::now();
    let output = run(&sh("sleep 300 & echo $!"), LONG).await.unwrap();
    // Its output is waited for a little longer, which is not its time.
    assert!(output.success() && output.duration + OUTPUT_GRACE <= started.elapsed());
    let pid = text(&output.stdout).trim();
    assert!(is_running(pid));
    nix::sys::signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn the_end_of_a_long_output_is_kept() {
    let output = run(&sh("head -c 1000000 /dev/zero; echo end; head -c 65536 /dev/zero >&2"), LONG)
        .await
        .unwrap();
    assert_eq!((output.stdout.bytes.len(), output.stdout.truncated), (CAPTURE_LIMIT, true));
    assert!(output.stdout.bytes.ends_with(b"\0end\n"));
    assert_eq!((output.stderr.bytes.len(), output.stderr.truncated), (CAPTURE_LIMIT, false));
}
