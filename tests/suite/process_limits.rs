//! Limits of the process, and what its parent did to its signals: an error with an exit code, never
//! a panic, a signal or a wrong accusation.

use std::fs;
use std::io::{BufRead, BufReader, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::build::Build;
use support::image::{Image, Said, Serve};
use support::refused_calls::{Refused, refuse};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

/// The bit of a signal in the masks of `/proc/PID/status`.
fn bit(signal: Signal) -> u64 {
    1 << (signal as u64 - 1)
}

#[test]
fn blocked_and_ignored_signals_of_the_parent_are_reset() {
    let serve = Serve::of(&Build::tiny());
    let mut child = Command::new("env")
        .args(["--block-signal=TERM,INT,CHLD,PIPE", "--ignore-signal=TERM,INT,CHLD,QUIT"])
        .args([PROGRAM, "serve", "--json", "--listen", "127.0.0.1:0"])
        .arg(serve.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let (blocked, ignored) = (mask("SigBlk:"), mask("SigIgn:"));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    assert_eq!(blocked, 0);
    let reset = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD, Signal::SIGQUIT];
    assert!(reset.iter().all(|signal| ignored & bit(*signal) == 0), "{ignored:x}");
    assert!(ignored & bit(Signal::SIGXFSZ) != 0, "{ignored:x}");
}

#[test]
fn install_learns_of_its_children_whatever_the_parent_ignored() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let mut command = Command::new("env");
    command.args(["--ignore-signal=CHLD", PROGRAM, "install", "master", "--bootstrap-url"]);
    command.arg(serve.url()).arg("--root").arg(image.path());
    Said::of(command.output().unwrap()).ends(0, &[&["done:"]]);
}

#[test]
fn limit_of_file_size_is_an_error_with_a_name() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    // In blocks of 512 bytes: less than the program itself, which is copied.
    let line = "ulimit -f 1000; exec \"$0\" install master --bootstrap-url \"$1\" --root \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", line, PROGRAM, serve.url()]).arg(image.path());
    Said::of(command.output().unwrap()).ends(1, &[&["File too large"]]);
}

#[test]
fn refused_archive_memory_is_no_damaged_archive() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    // From too little to begin with to enough: whatever is refused, the archive is not blamed.
    let mut codes = Vec::new();
    for mebibytes in [36, 56, 64, 72, 80, 112, 160, 1000] {
        let image = Image::new();
        let line = format!(
            "ulimit -v {}; exec \"$0\" fetch --bootstrap-url \"$1\" --root \"$2\"",
            mebibytes << 10
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line, PROGRAM, serve.url()]).arg(image.path());
        let output = command.output().unwrap();
        let said = Said::of(output);
        let known = ["not enough memory", "cannot start a thread", "Cannot allocate memory"];
        assert!(
            said.code() == Some(0)
                || said.code() == Some(1) && known.iter().any(|words| said.err.contains(words)),
            "{mebibytes} MiB: {:?}\n{}",
            said.code(),
            said.err
        );
        codes.push(said.code());
    }
    assert!(codes.contains(&Some(1)) && codes.contains(&Some(0)), "{codes:?}");
}

#[test]
fn every_limit_of_memory_is_an_error_with_a_code() {
    let image = Image::new();
    let limited = |kibibytes: usize| -> (Option<i32>, String) {
        let line = format!("ulimit -v {kibibytes}; exec \"$0\" status --root \"$1\"");
        let mut command = Command::new("sh");
        let output = command.args(["-c", &line, PROGRAM]).arg(image.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let is_error = |kibibytes: &usize| limited(*kibibytes).1.contains("cure:");
    let first = (16 << 10..1 << 20).step_by(1 << 10).find(is_error).unwrap();
    // Over more than what a thread needs, by less than the stack of its signals.
    for kibibytes in (0..2400).step_by(8).map(|more| first + 1024 + more) {
        let (code, said) = limited(kibibytes);
        assert!(code == Some(1) && !said.contains("panicked"), "{kibibytes} KiB: {code:?} {said}");
    }
}

/// What a command comes to whose system calls are refused.
fn refusing(calls: &'static [Refused]) -> Said {
    let image = Image::new();
    let mut command = Command::new(PROGRAM);
    command.args(["status", "--root"]).arg(image.path());
    refuse(&mut command, calls);
    Said::of(command.output().unwrap())
}

#[test]
fn refused_thread_is_an_error() {
    refusing(&[(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_clone, libc::EPERM)]).ends(
        1,
        &[
            &["error: cannot start a thread", "not permitted"],
            &["state:", "nothing was changed"],
            &["cure:", "clone3"],
        ],
    );
}

#[test]
fn refused_random_numbers_are_an_error() {
    // Without the call, the device is asked.
    refusing(&[(libc::SYS_getrandom, libc::ENOSYS), (libc::SYS_openat, libc::EMFILE)])
        .ends(1, &[&["error: the kernel gives no random numbers"], &["cure:"]]);
}

#[test]
fn limit_of_processes_is_an_error() {
    let (directory, image) = (tempfile::tempdir().unwrap(), Image::new());
    // Root is above this limit.
    let program = directory.path().join("dcos-node");
    fs::copy(PROGRAM, &program).unwrap();
    for path in [directory.path(), image.path()] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, mode).unwrap();
    }
    let mut command = Command::new("prlimit");
    command.arg("--nproc=1").arg(&program).args(["status", "--root"]).arg(image.path());
    if nix::unistd::geteuid().is_root() {
        // A number that nobody has, so that its processes are these alone.
        command.uid(64_321).gid(64_321);
    }
    Said::of(command.output().unwrap()).ends(1, &[&["error: cannot start a thread"]]);
}

/// What a program makes of an input.
fn filtered(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    // A pipe, because of a file the length is known, and the window is no longer than that.
    let mut cat = Command::new("cat").stdin(file).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(cat.stdout.take().unwrap()).output().unwrap();
    cat.wait().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn window_beyond_the_memory_is_no_damaged_archive() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let fetch = |image: &Image, mebibytes: u64| {
        let line = format!(
            "ulimit -v {}; exec \"$0\" fetch --parallel 1 --bootstrap-url \"$1\" --root \"$2\"",
            mebibytes << 10
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line, PROGRAM, serve.url()]).arg(image.path());
        Said::of(command.output().unwrap())
    };
    let is_enough = |mebibytes: &u64| fetch(&Image::new(), *mebibytes).code() == Some(0);
    let enough = (48..600).step_by(16).find(is_enough).unwrap();
    let archive = serve.packed.archive("files");
    let tar = filtered("xz", &["-dc"], &fs::read(&archive).unwrap());
    for (format, arguments) in [("zstd", ["--long=26", "-c"]), ("xz", ["--lzma2=dict=64MiB", "-c"])]
    {
        fs::write(&archive, filtered(format, &arguments, &tar)).unwrap();
        let image = Image::new();
        // Enough for all other archives, and not for a window of 64 MiB.
        let said = fetch(&image, enough + 16);
        let cause = format!("not enough memory to decode the {format} data");
        said.ends(1, &[&["because", &cause], &["state:", "are kept"], &["cure:"]]);
        assert!(!said.err.contains("damaged"), "{}", said.err);
        // Nothing of it counts as wrong: the same command completes it.
        let again = image.run(&["fetch", "--bootstrap-url", serve.url()]);
        again.ends(0, &[&["packages:", "kept"]]);
    }
}
