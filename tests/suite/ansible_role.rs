//! The role and the playbooks of `examples/ansible` on this machine alone: what they ask of the
//! program, what they print of its answers, and their documents.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;
use support::ansible::{self, examples, sha256_hex};
use tempfile::TempDir;

/// A host of its inventory, and the group that it is in.
const HOSTS: [(&str, &str); 5] = [
    ("first", "masters"),
    ("second", "masters"),
    ("third", "masters"),
    ("agent", "agents"),
    ("public", "public_agents"),
];

const STAND_IN: &str = r#"#!/bin/sh
echo "$*" >> "${0%/*}/asked"
cat "${0%/*}/../answer"
exit "$(cat "${0%/*}/../code")"
"#;

/// An example's fleet on this machine alone: in the place of the program stands one that keeps what
/// it was asked, and answers what it is told to.
struct Stage {
    desk: TempDir,
}

impl Stage {
    /// With variables as an inventory in INI form has them: each is text.
    fn new(variables: &str) -> Stage {
        let stage = Stage { desk: tempfile::tempdir().expect("a directory") };
        stage.answers(0, &json!({"changed": false}));
        let mut inventory = String::new();
        for (host, group) in HOSTS {
            let program = stage.desk.path().join(host).join("dcos-node");
            fs::create_dir(stage.desk.path().join(host)).expect("a directory");
            fs::write(&program, STAND_IN).expect("write the stand-in");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .expect("make it a program");
            let role = ["slave", "slave_public", "master"]
                [["agents", "public_agents"].iter().position(|of| *of == group).unwrap_or(2)];
            inventory.push_str(&format!("[{group}]\n{host} dcos_node_role={role}\n"));
        }
        let (desk, digest) = (stage.desk.path().display(), sha256_hex(STAND_IN.as_bytes()));
        inventory.push_str(&format!(
            "[all:vars]\n\
             ansible_connection=local\n\
             ansible_become=false\n\
             dcos_node_url=http://127.0.0.1:1/dcos-node\n\
             dcos_node_sha256={digest}\n\
             dcos_node_directory={desk}/{{{{ inventory_hostname }}}}\n\
             {variables}"
        ));
        fs::write(stage.desk.path().join("hosts.ini"), inventory).expect("write the inventory");
        stage
    }

    fn answers(&self, code: u8, document: &serde_json::Value) {
        fs::write(self.desk.path().join("answer"), document.to_string()).expect("write the answer");
        fs::write(self.desk.path().join("code"), code.to_string()).expect("write the exit code");
    }

    /// What a playbook with `--check` prints.
    fn play(&self, playbook: &str, more: &[&str]) -> String {
        let mut command = Command::new(ansible::playbook_program());
        command
            .current_dir(examples())
            .args([playbook, "--check", "-i"])
            .arg(self.desk.path().join("hosts.ini"))
            .args(more);
        command
            .env("ANSIBLE_HOME", self.desk.path().join("ansible"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_CONFIG", "ansible.cfg");
        let output = command.output().expect("run Ansible");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// The hosts that are asked to uninstall, each with which of the words that cannot be taken
    /// back.
    #[track_caller]
    fn uninstalls(&self, more: &[&str]) -> Vec<(&'static str, Vec<&'static str>)> {
        let printed = self.play("uninstall.yml", more);
        let asked = HOSTS.iter().filter_map(|(host, _)| {
            let asked = self.desk.path().join(host).join("asked");
            let words = fs::read_to_string(&asked).ok()?;
            fs::remove_file(&asked).expect("forget it");
            assert!(
                words.starts_with("uninstall ") && words.lines().count() == 1,
                "{words}\n{printed}"
            );
            Some((
                *host,
                ["--purge-data --yes", "--force"]
                    .into_iter()
                    .filter(|word| words.contains(word))
                    .collect(),
            ))
        });
        let asked: Vec<_> = asked.collect();
        assert!(!asked.is_empty() && !printed.contains("failed=1"), "{printed}");
        asked
    }
}

#[test]
fn uninstall_playbook_forces_masters_only_after_all_agents() {
    if !ansible::available() {
        return;
    }
    let stage = Stage::new("dcos_node_purge_data=false\ndcos_node_cluster_goes=false\n");
    let all = |of_masters: &[&'static str], of_agents: &[&'static str]| {
        let words =
            |group| if group == "masters" { of_masters.to_vec() } else { of_agents.to_vec() };
        HOSTS.map(|(host, group)| (host, words(group))).to_vec()
    };
    assert_eq!(
        stage.uninstalls(&[]),
        all(&["--force"], &[]),
        "in an inventory; all masters go, and all agents before them"
    );
    let no = ["-e", "dcos_node_purge_data=false", "-e", "dcos_node_cluster_goes=false"];
    assert_eq!(stage.uninstalls(&no), all(&[], &[]), "with -e");
    let masters = stage.uninstalls(&["--limit", "masters", "-e", "dcos_node_purge_data=yes"]);
    assert_eq!(
        masters,
        ["first", "second", "third"].map(|host| (host, vec!["--purge-data --yes"])),
        "agents are left"
    );
    let yes = ["--limit", "third", "-e", "dcos_node_cluster_goes=true"];
    assert_eq!(stage.uninstalls(&yes), [("third", vec!["--force"])], "who says so has it");
}

#[test]
fn failed_status_check_names_the_cause() {
    if !ansible::available() {
        return;
    }
    let stage = Stage::new("");
    let obstacle = json!({
        "link": "units", "level": "node-ready", "unit": "dcos-net.service", "text": "it failed",
        "cure": "journalctl -u dcos-net",
    });
    stage.answers(
        7,
        &json!({"state": "installed", "readiness": {"level": "started", "obstacles": [obstacle]}}),
    );
    let printed = stage.play("install.yml", &["--limit", "agent"]);
    for line in
        ["because dcos-net.service: it failed", "state: installed", "cure:  journalctl -u dcos-net"]
    {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(printed.contains("exit code 7") && !printed.contains("no document"), "{printed}");
    // On an image, and on a node that is clean, nothing is known of units.
    stage.answers(11, &json!({"state": "clean", "readiness": null}));
    let printed = stage.play("install.yml", &["--limit", "agent"]);
    assert!(
        printed.contains("state: clean")
            && printed.contains("exit code 11")
            && !printed.contains("because"),
        "{printed}"
    );
    let item = |what: &str, why: &str| json!({"what": what, "why": why});
    let report = json!({
        "residue": [item("/etc/x", "it is still there")],
        "unknown": [item("the rules", "iptables failed")],
    });
    stage.answers(9, &json!({"changed": true, "report": report}));
    let printed = stage.play("uninstall.yml", &["--limit", "agent"]);
    for line in
        ["still there: /etc/x (it is still there)", "not known: the rules (iptables failed)"]
    {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}

/// The names of variables at the beginning of lines, after what `before` says.
fn variables(text: &str, before: &str) -> Vec<String> {
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix(before))
        .filter(|rest| rest.starts_with("dcos_node_"));
    let mut names: Vec<String> = names
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                .collect()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn role_variables_are_documented_with_default_or_required() {
    let read = |path: &str| {
        fs::read_to_string(examples().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let form = read("roles/dcos_node/meta/argument_specs.yml");
    let known = variables(&form, "      ");
    assert_eq!(variables(&read("README.md"), "| `"), known);
    let mut given = variables(&read("roles/dcos_node/defaults/main.yml"), "");
    given.extend(
        form.split("      dcos_node_")
            .filter(|option| option.contains("required: true"))
            .map(|option| format!("dcos_node_{}", option.split(':').next().unwrap_or_default())),
    );
    given.sort();
    assert_eq!(given, known);
}

#[test]
fn ansible_runs_only_raw_commands_on_a_node() {
    // All but `raw` work on the machine that Ansible runs on.
    let known = ["raw", "fail", "include_role", "include_tasks", "import_tasks"];
    let tasks = fs::read_dir(examples().join("roles/dcos_node/tasks"))
        .expect("the tasks")
        .map(|entry| entry.expect("an entry").path());
    let files = tasks.chain(["install.yml", "uninstall.yml"].map(|name| examples().join(name)));
    let mut modules = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a file of tasks");
        // Plays have names too.
        let tasks = text.matches("- name: ").count() - text.matches("\n  hosts: ").count();
        let used: Vec<&str> = text
            .lines()
            .filter_map(|line| {
                line.trim_start().strip_prefix("ansible.builtin.")?.split(':').next()
            })
            .collect();
        assert!(used.iter().all(|module| known.contains(module)), "{}: {used:?}", file.display());
        assert_eq!(
            used.len(),
            tasks,
            "{}: a task whose module is not Ansible's own",
            file.display()
        );
        modules += used.len();
    }
    assert!(modules > 10, "{modules}");
}
