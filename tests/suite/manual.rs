//! The manual pages are those of the program, and shells complete its command line.
//!
//! `make bless` writes the pages again.
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Command;

use dcos_node::cli;
use dcos_node::dcos::exit::Exit;
use support::recorded::are_recorded;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

#[test]
fn manual_pages_match_the_program() {
    let pages: BTreeMap<String, String> =
        cli::manual().into_iter().map(|page| (page.name, page.text)).collect();
    are_recorded("docs/man", &pages);
    assert!(
        pages.contains_key("dcos-node.8") && pages.contains_key("dcos-node-install.8"),
        "{:?}",
        pages.keys()
    );
    let printed = Command::new(PROGRAM).arg("man").output().unwrap();
    let all: String = cli::manual().into_iter().map(|page| page.text).collect();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), all);
}

/// Whether a program is here. If not, says so past the test runner, and fails where `CI` is set.
fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "CI must have {program}: make setup");
    if !here {
        let _ = writeln!(std::io::stderr(), "NOT RUN: {program} is not installed");
    }
    here
}

#[test]
fn every_page_renders_without_a_warning() {
    if !is_here("groff") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for page in cli::manual() {
        let path = directory.path().join(&page.name);
        fs::write(&path, &page.text).unwrap();
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-rLL=80n", "-P-c"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            output.stderr.is_empty(),
            "{}: {}",
            page.name,
            String::from_utf8_lossy(&output.stderr)
        );
        // Bold in the way of typewriters: a letter, a step back, the letter again.
        let text = String::from_utf8(output.stdout).unwrap();
        let plain: String = text
            .chars()
            .zip(text.chars().skip(1))
            .filter(|two| two.0 != '\u{8}' && two.1 != '\u{8}')
            .map(|two| two.0)
            .collect();
        let sections = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "EXAMPLES",
            "SEE ALSO",
        ];
        for section in sections {
            assert!(
                plain.lines().any(|line| line == section),
                "{}: no {section}\n{plain}",
                page.name
            );
        }
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{}: {plain}", page.name);
        // A section for those that have to do with files; a synopsis that tells which options take
        // a value.
        if page.name == "dcos-node-install.8" {
            let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "FILES /opt/mesosphere/packages",
                "[--bootstrap-url URL]",
                "[--skip CHECK=REASON]...",
                "[--wait[=LEVEL]]",
                "[-p|--preflight-only]",
            ] {
                assert!(words.contains(part), "{part}: {plain}");
            }
            assert!(
                plain.contains("   Fetching\n") && plain.contains("   Waiting\n"),
                "groups are parts of OPTIONS: {plain}"
            );
        }
        if page.name == "dcos-node.8" {
            assert!(
                plain.contains(
                    Exit::NotInstalled.explained().meaning.split('`').next_back().unwrap()
                ),
                "{plain}"
            );
        }
    }
}

/// What a shell says after it has read the completions.
fn ask(shell: &str, script: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM).args(["completions", shell]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let path = directory.path().join("completions");
    fs::write(&path, output.stdout).unwrap();
    let output = Command::new(shell)
        .args(["-c", &script.replace("COMPLETIONS", &path.display().to_string())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What bash would offer after this command line.
fn offered(line: &str) -> Vec<String> {
    let script = "source COMPLETIONS; set -- LINE; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  f=$(complete -p dcos-node | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \"$f\" dcos-node \
                  \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \
                  \"${COMPREPLY[@]}\"";
    ask("bash", &script.replace("LINE", line)).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_options_and_roles() {
    assert_eq!(offered("dcos-node inst"), ["install"]);
    assert_eq!(offered("dcos-node install --boots"), ["--bootstrap-url"]);
    assert_eq!(offered("dcos-node install slave"), ["slave", "slave_public"]);
    assert_eq!(offered("dcos-node status --j"), ["--json"]);
    assert_eq!(offered("dcos-node publish --recompress z"), ["zstd"]);
    // An equals sign is a word of its own.
    assert_eq!(offered("dcos-node status --wait = cl"), ["cluster-ready"]);
    assert!(!offered("dcos-node status --wait ''").iter().any(|word| word == "cluster-ready"));
    assert!(offered("dcos-node ''").iter().any(|word| word == "uninstall"));
}

/// What a zsh on a terminal of its own makes of these keys, once the completions are loaded.
fn typed_into_zsh(keys: &str) -> String {
    let script = "zmodload zsh/zpty; zpty ours 'PS1=; PS2=; stty -echo; exec zsh -f -i'
        zpty -w ours 'PS1=; autoload -U compinit; compinit -D -u; source COMPLETIONS; dcos-node() print -r -- \"<$*>\"; print re''ady'
        zpty -r ours said '*ready*'
        zpty -w ours $'KEYS'
        zpty -r ours said '*<*>*'
        print -r -- $said; zpty -d ours";
    ask("zsh", &script.replace("KEYS", keys))
}

#[test]
fn zsh_completes_subcommands_options_and_roles() {
    if is_here("zsh") {
        assert_eq!(
            ask(
                "zsh",
                "autoload -U compinit; compinit -D -u; source COMPLETIONS; print $_comps[dcos-node]"
            ),
            "_dcos-node\n"
        );
        let said = typed_into_zsh("dcos-node inst\\tslave_p\\t--boots\\thttp://x");
        assert!(said.contains("<install slave_public --bootstrap-url=http://x>"), "{said:?}");
        let said = typed_into_zsh("dcos-node status --wait=clu\\t");
        assert!(said.contains("<status --wait=cluster-ready>"), "{said:?}");
    }
}

#[test]
fn fish_completes_subcommands_and_options() {
    if is_here("fish") {
        let offered =
            |line: &str| ask("fish", &format!("source COMPLETIONS; complete -C '{line}'"));
        assert!(offered("dcos-node uninst").starts_with("uninstall\t"));
        assert!(offered("dcos-node install --boots").starts_with("--bootstrap-url\t"));
        assert_eq!(offered("dcos-node status --wait=cl").trim_end(), "--wait=cluster-ready");
    }
}
