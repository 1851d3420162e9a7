//! Exit codes are part of the interface: automation decides by them, so none ever changes its
//! number, its word or its meaning; and every failure says how the node stands and what cures it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Output};

use dcos_node::dcos::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::build::{Build, Damage};
use support::image::{Image, Said, Serve};

/// Every exit code with the word that JSON has for it.
const FROZEN: [(Exit, u8, &str); 13] = [
    (Exit::Done, 0, "done"),
    (Exit::Failed, 1, "failed"),
    (Exit::Usage, 2, "usage"),
    (Exit::Preflight, 3, "preflight"),
    (Exit::Warnings, 4, "warnings"),
    (Exit::Conflict, 5, "conflict"),
    (Exit::Integrity, 6, "integrity"),
    (Exit::NotReady, 7, "not-ready"),
    (Exit::Busy, 8, "busy"),
    (Exit::Residue, 9, "residue"),
    (Exit::Interrupted, 10, "interrupted"),
    (Exit::NotInstalled, 11, "not-installed"),
    (Exit::Unhealthy, 12, "unhealthy"),
];

/// Where an exit code stands in the table. A new one does not compile until it has a row.
fn row(exit: Exit) -> usize {
    match exit {
        Exit::Done => 0,
        Exit::Failed => 1,
        Exit::Usage => 2,
        Exit::Preflight => 3,
        Exit::Warnings => 4,
        Exit::Conflict => 5,
        Exit::Integrity => 6,
        Exit::NotReady => 7,
        Exit::Busy => 8,
        Exit::Residue => 9,
        Exit::Interrupted => 10,
        Exit::NotInstalled => 11,
        Exit::Unhealthy => 12,
    }
}

#[test]
fn exit_codes_keep_their_numbers_and_words() {
    for (index, (exit, code, word)) in FROZEN.into_iter().enumerate() {
        assert_eq!((row(exit), exit.code(), json!(exit)), (index, code, json!(word)));
    }
}

/// Demands a failure with this code, and with all that an operator needs.
#[track_caller]
fn fails(said: &Said, code: u8) {
    assert_eq!(said.code(), Some(i32::from(code)), "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let word = FROZEN.iter().find(|(_, number, _)| *number == code).map(|(_, _, word)| *word);
    assert_eq!(
        (report["code"].as_u64(), report["exit"].as_str()),
        (Some(code.into()), word),
        "{report:#}"
    );
    for field in ["error", "state", "cure"] {
        assert!(
            report[field].as_str().is_some_and(|text| !text.is_empty()),
            "no {field}: {report:#}"
        );
    }
    for line in ["error: ", "  state:  ", "  cure:   "] {
        assert!(said.err.contains(line), "no line {line:?}:\n{}", said.err);
    }
}

#[test]
fn usage_error_with_json_prints_one_document() {
    let run = |words: &[&str], variable: Option<(&str, &str)>| {
        let mut command = std::process::Command::new(support::node::binary());
        Said::of(
            command
                .args(words)
                .env_remove("DCOS_NODE_JSON")
                .envs(variable)
                .output()
                .expect("run dcos-node"),
        )
    };
    let asked = run(&["status", "--json", "--nosuch"], None);
    let report: Value = serde_json::from_str(&asked.out).expect("JSON");
    assert_eq!(
        report,
        json!({
            "error": "unexpected argument '--nosuch' found", "causes": [], "exit": "usage",
            "code": 2, "state": "nothing was changed",
            "cure": "dcos-node COMMAND --help tells what it takes", "help": null, "preflight": null
        })
    );
    assert!(
        asked.code() == Some(2)
            && asked.err.starts_with("error: unexpected argument '--nosuch'")
            && asked.err.contains("Usage:")
    );
    let by_variable = run(&["status", "--nosuch"], Some(("DCOS_NODE_JSON", "true")));
    assert_eq!((by_variable.code(), by_variable.out), (Some(2), asked.out));
    assert_eq!(run(&["status", "--nosuch"], None).out, "");
    // Help and version are what was asked for, and no failure.
    for words in [["--json", "--version"], ["--json", "--help"], ["--json", "man"]] {
        let said = run(&words, None);
        assert!(said.code() == Some(0) && !said.out.starts_with('{'), "{words:?}");
    }
}

/// A run that has the lock and waits for its turn. It ends with the test, whatever became of that.
struct Waiting {
    child: Child,
    news: BufReader<ChildStderr>,
}

impl Waiting {
    fn with_the_lock(image: &Image, url: &str) -> Waiting {
        let mut child = image.start(&["fetch", "--bootstrap-url", url, "--splay", "24h", "--json"]);
        let mut news = BufReader::new(child.stderr.take().expect("its standard error"));
        let mut line = String::new();
        news.read_line(&mut line).expect("a line");
        assert!(line.contains("before the first request"), "{line}");
        Waiting { child, news }
    }

    fn interrupted(mut self) -> Said {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a process id")), Signal::SIGTERM)
            .expect("a signal");
        let (mut out, mut err) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .expect("its standard output")
            .read_to_string(&mut out)
            .expect("its words");
        self.news.read_to_string(&mut err).expect("its words");
        Said::of(Output {
            status: self.child.wait().expect("its end"),
            stdout: out.into(),
            stderr: err.into(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_failure_prints_the_state_of_the_node_and_a_fix() {
    if !support::is_root() {
        return;
    }
    let tiny = Serve::of(&Build::tiny());
    let from = |url: &str| ["--json", "--bootstrap-url", url].map(str::to_owned);
    let run = |image: &Image, arguments: &[&str], url: &str| {
        let arguments: Vec<String> =
            arguments.iter().map(|a| (*a).to_owned()).chain(from(url)).collect();
        image.run(&arguments)
    };
    let json = |image: &Image, arguments: &[&str]| image.run(&[arguments, &["--json"]].concat());

    let clean = Image::new();
    fails(&json(&clean, &["verify"]), 11);
    fails(&json(&clean, &["adopt"]), 11);
    fails(&json(&clean, &["status", "--wait=started"]), 2);
    fails(&json(&clean, &["install", "master"]), 2);
    fails(&json(&clean, &["uninstall", "--purge-data"]), 2);
    fails(&run(&clean, &["install", "master"], "ftp://nowhere"), 2);
    fails(&run(&clean, &["install", "master", "--skip", "no.check=x"], tiny.url()), 2);
    fails(&run(&clean, &["install", "master"], "/nowhere/at/all"), 3);
    fails(&run(&clean, &["fetch"], "/nowhere/at/all"), 1);
    fails(&run(&clean, &["install", "master", "--require-digests"], tiny.url()), 6);
    fails(&json(&clean, &["preflight", "--ip-detect", "/"]), 2);
    fs::write(clean.at("file"), "x").expect("write");
    fails(&json(&clean, &["bundle", clean.at("file").to_str().expect("UTF-8")]), 2);
    fails(&json(&clean, &["bundle", "/nowhere/at/all/b.tar.gz"]), 1);

    let damaged = Serve::of(&Build::tiny().damaged("units", Damage::Truncated));
    fails(&run(&Image::new(), &["install", "master"], damaged.url()), 6);

    let held = Waiting::with_the_lock(&clean, tiny.url());
    for command in [&["install", "master"][..], &["uninstall"], &["recover"], &["adopt"]] {
        fails(&json(&clean, command), 8);
    }
    fails(&held.interrupted(), 10);

    let installed = Image::new();
    run(&installed, &["install", "master"], tiny.url()).ends(0, &[]);
    fails(&run(&installed, &["install", "slave"], tiny.url()), 5);
    fails(&run(&installed, &["install", "master", "--reset-identity"], tiny.url()), 5);
    let other =
        Serve::of(&Build::tiny().with_file("units", "share/notes", 0o644, "another build\n"));
    fails(&run(&installed, &["install", "master"], other.url()), 5);
    fails(&run(&installed, &["fetch"], other.url()), 5);
    fs::write(installed.at("opt/mesosphere/install_progress"), "fly").expect("write");
    for command in ["verify", "recover"] {
        fails(&json(&installed, &[command]), 1);
    }
    fs::write(installed.at("var/lib/dcos-node/journal"), "garbage\n").expect("write");
    for command in ["verify", "recover", "adopt", "preflight"] {
        fails(&json(&installed, &[command]), 1);
    }

    let strange = Image::new();
    fs::create_dir_all(strange.at("opt/mesosphere/packages/strange")).expect("make a directory");
    fails(&run(&strange, &["install", "master"], tiny.url()), 5);
    fails(&run(&strange, &["fetch"], tiny.url()), 5);
    fails(&json(&strange, &["adopt"]), 11);
}

#[test]
fn wait_for_an_image_is_refused() {
    let image = tempfile::tempdir().expect("a directory");
    for command in [&["status"][..], &["install", "slave", "--bootstrap-url", "/nowhere"]] {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        let output = run
            .args(command)
            .args(["--wait", "--root"])
            .arg(image.path())
            .output()
            .expect("run dcos-node");
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&output.stderr)
                .contains("error: an image cannot be waited for")
        );
    }
}
