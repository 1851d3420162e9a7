//! Documents that tell of the program are true: generated from it, or compared with what it prints.
//!
//! `make bless` writes the generated ones again.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use dcos_node::command::{Failure, uninstall};
use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::cluster::{Member, Serving};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::preview::Preview;
use dcos_node::dcos::proof::{self, Item, Leftovers};
use dcos_node::dcos::receipt::{Before, Object};
use dcos_node::dcos::role::Role;
use dcos_node::dcos::work::Framework;
use dcos_node::preflight;
use dcos_node::preflight::explain::Explanation;
use dcos_node::preflight::report::{
    Check, MissingPiece, Protection, Report, SCHEMA, ScriptView, Scripts, Sealed, Verdict,
};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Markdown whose paragraphs are wrapped at 100 columns; tables and headings keep their lines.
fn wrapped(text: &str) -> String {
    let is_kept = |block: &str| block.starts_with(['|', '#']);
    let wrap = |block: &str| {
        let mut lines = vec![String::new()];
        for word in block.split_whitespace() {
            let line = lines.last_mut().expect("a line");
            let length = line.chars().count() + 1 + word.chars().count();
            if line.is_empty() {
                line.push_str(word);
            } else if length <= 100 {
                line.extend([" ", word]);
            } else {
                lines.push(word.to_owned());
            }
        }
        lines.join("\n")
    };
    let blocks = text.trim_end().split("\n\n").map(|block| match is_kept(block) {
        true => block.to_owned(),
        false => wrap(block),
    });
    blocks.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// The table of checks as a document.
fn checks() -> String {
    let mut text = "# The checks\n\
                    \n\
                    What `dcos-node preflight` and `dcos-node install` check. Generated from the \
                    table in `src/preflight/`: change it there, then run\n\
                    `make bless`. Below the table each check has a \
                    paragraph: why it matters, and what to do. `dcos-node explain CHECK` prints\n\
                    the same on a node.\n\
                    \n\
                    *If not*: `fail` stops an install, `warn` does not. A check that could not \
                    look is unknown, which stops an install if the check\n\
                    cannot be skipped. *Skippable*: `--skip CHECK=REASON` takes responsibility for \
                    it.\n\
                    \n\
                    | check | if not | skippable | expected | source |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for rule in preflight::table() {
        let check = Explanation::of(rule, None);
        let cells = [
            format!("`{}`", check.id),
            check.severity_in_words(),
            if check.skippable { "yes" } else { "no" }.to_owned(),
            check.expected.to_owned(),
            check.source.to_owned(),
        ];
        text.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    text.push_str("\n## Each check\n");
    for rule in preflight::table() {
        let check = Explanation::of(rule, None);
        text.push_str(&format!(
            "\n### `{}`\n\n**Expected:** {}. **Why:** {}.\n",
            check.id, check.expected, check.why
        ));
        if !check.cure.is_empty() {
            text.push_str(&format!("\n**Cure:** {}.\n", check.cure));
        }
        if !check.exceptions.is_empty() {
            text.push_str(&format!("\n**Exceptions:** {}.\n", check.exceptions.join("; ")));
        }
        if check.skippable {
            text.push_str(&format!("\n**To skip it:** `--skip {}='your reason'`\n", check.id));
        }
    }
    wrapped(&text)
}

/// Compares a generated document with what is written, or writes it.
#[track_caller]
fn is_the_table_of_the_program(name: &str, text: &str) {
    let path = document(name);
    if std::env::var_os("DCOS_NODE_BLESS").is_some() {
        std::fs::write(&path, text).expect("write the document");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/{name} is not the table of the program any more: make bless");
}

#[test]
fn documented_checks_match_the_program() {
    is_the_table_of_the_program("checks.md", &checks());
}

/// The table of exit codes as a document.
fn exit_codes() -> String {
    let mut text = "# Exit codes and failures\n\
                    \n\
                    Generated from the table in `src/dcos/exit.rs`: change it there, then run \
                    `make bless`. A code never changes\n\
                    its number, its word or its meaning. `recover` at boot exits with 0 whatever \
                    it came to: a boot must not fail over what the next one, or an\n\
                    operator, can finish.\n\
                    \n\
                    | code | word | meaning | the node is left | what to do |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for exit in Exit::ALL {
        let told = exit.explained();
        text.push_str(&format!(
            "| {} | `{}` | {} | {} | {} |\n",
            exit.code(),
            exit.word(),
            told.meaning,
            told.node,
            told.remedy
        ));
    }
    text.push_str(
        "\n\
         ## A failure\n\
         \n\
         On standard error: `error:` with what went wrong, a line `because` for each cause, `log:` \
         with the last words of a unit at fault, `state:` with how\n\
         the node stands now, `cure:` with the command or deed that cures it, and `help:` with the \
         command that collects what support needs; that line stands\n\
         beside results too that are not what was hoped for (degraded, damage, residue, checks \
         that failed, a node that is still not ready 20 minutes after its install). With `--json` \
         the same on standard output,\n\
         of a command line that is wrong too. Where standard output does not take a result or a \
         document (a full disk), that is told on standard error, and an exit code\n\
         that would have been 0 is 1; what was done stays done. A reader that has gone away is no \
         error.\n\
         \n\
         | field | type | what |\n\
         |---|---|---|\n\
         | `error` | string | what went wrong |\n\
         | `causes` | array of strings | its causes, outermost first |\n\
         | `exit` | string | the word of the exit code |\n\
         | `code` | number | the exit code |\n\
         | `state` | string or null | how the node stands now |\n\
         | `cure` | string | what to do |\n\
         | `help` | string or null | the command that collects what support needs \
         ([bundle.md](bundle.md)); null where it could tell nothing: a command line that is wrong, \
         another dcos-node at work, no DC/OS here, the bootstrap server |\n\
         | `log` | array of strings | the last journal lines of the unit at fault; not there if no \
         unit is |\n\
         | `changed` | boolean | of an install whose wait failed: whether the install changed \
         anything; else not there |\n\
         | `preflight` | object or null | the report, if checks stopped the command \
         ([preflight-schema.md](preflight-schema.md)) |\n",
    );
    wrapped(&text)
}

#[test]
fn documented_exit_codes_match_the_program() {
    is_the_table_of_the_program("exit-codes.md", &exit_codes());
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("README.md");
    for exit in Exit::ALL {
        assert_eq!(json!(exit), exit.word());
        assert!(
            readme.contains(&format!("\n| {} | ", exit.code())),
            "README.md does not have exit code {}",
            exit.code()
        );
    }
}

#[test]
fn recovery_guide_covers_every_exit_code_and_the_bundle() {
    let text = std::fs::read_to_string(document("recovery.md")).expect("docs/recovery.md");
    for exit in Exit::ALL.iter().filter(|exit| **exit != Exit::Done) {
        let section = text
            .split(&format!("\n### Exit {}: ", exit.code()))
            .nth(1)
            .and_then(|rest| rest.split("\n#").next());
        let section = section.unwrap_or_else(|| {
            panic!("docs/recovery.md has no section for exit code {}", exit.code())
        });
        for part in ["**You see**", "**Look", "**Cure:**"] {
            assert!(section.contains(part), "exit code {}: no {part}", exit.code());
        }
    }
    assert!(text.trim_end().ends_with("```\nsudo dcos-node bundle\n```"));
}

#[test]
fn documented_failure_fields_match_the_program() {
    let failure = Failure::new(Exit::Failed, std::io::Error::other(""))
        .leaving("")
        .cured_by("")
        .quoting(vec![String::new()]);
    let failure = failure.having_changed(true);
    assert_eq!(documented(&exit_codes()), fields_of(&json!(failure.report(Some("")))));
}

/// Every name of ours in the sources of these files: literals that hold `dcos-node`, `dcos-build`
/// or `dcos-publish` and lead somewhere.
fn our_names(files: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
            .expect("a source");
        let lines = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim_start().starts_with("//"));
        let literals = lines.flat_map(|line| {
            line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        });
        let is_ours = |text: &String| {
            ["dcos-node", "dcos-build", "dcos-publish"].iter().any(|name| text.contains(name))
                && !text.contains([' ', '{'])
        };
        names.extend(literals.filter(is_ours));
    }
    names
}

#[test]
fn every_own_file_is_documented_with_its_schema() {
    let text = std::fs::read_to_string(document("files.md")).expect("docs/files.md");
    let names = our_names(&[
        "src/dcos/layout.rs",
        "src/dcos/index.rs",
        "src/command/publish.rs",
        "src/system/files.rs",
    ]);
    assert!(names.len() > 6, "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !text.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/files.md lacks {missing:?}");
    use dcos_node::dcos::{index, journal, receipt};
    for (name, schema) in [
        ("journal", journal::SCHEMA),
        ("receipt.json", receipt::SCHEMA),
        ("dcos-build.json", index::SCHEMA),
    ] {
        let row = text.lines().find(|line| {
            line.starts_with("| `")
                && line.split('`').nth(1).is_some_and(|path| path.ends_with(name))
        });
        assert!(
            row.is_some_and(|row| row.contains(&format!("schema {schema}"))),
            "{name}: {row:?}"
        );
    }
}

/// Every document of ours: those at the top, and those in `docs/`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("docs"))
        .expect("docs/")
        .map(|file| file.expect("a file").path());
    let documents =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let at_the_top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    documents.chain(at_the_top).collect()
}

#[test]
fn files_named_in_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut named, mut missing) = (0, Vec::new());
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        let words =
            text.split('`').skip(1).step_by(2).filter(|word| !word.contains([' ', '*', '\n']));
        let is_ours = |word: &&str| {
            (word.ends_with(".rs") || word.ends_with('/'))
                && ["src/", "tests/", "docs/", "fixtures/", "fuzz/"]
                    .iter()
                    .any(|top| word.starts_with(top))
                || word.ends_with(".rs") && word.contains('/')
        };
        let sources = words.filter(is_ours).map(|word| {
            (word.to_owned(), root.join(word).exists() || root.join("src").join(word).exists())
        });
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(link, _)| link.split('#').next().unwrap_or(link));
        let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
        let links = links
            .map(|link| (link.to_owned(), path.parent().expect("a directory").join(link).exists()));
        for (name, is_there) in sources.chain(links) {
            named += 1;
            if !is_there {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(named > 60, "only {named} names were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn readme_links_lead_to_every_document() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("README.md");
    for path in documents()
        .iter()
        .filter(|path| path.parent().is_some_and(|directory| directory.ends_with("docs")))
    {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            readme.contains(&format!("(docs/{name})")),
            "README.md does not lead to docs/{name}"
        );
    }
}

/// The names of all fields, at any depth.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    fields(value, &mut found);
    found
}

/// What the program prints for this machine, whatever its state.
fn printed(arguments: &[&str]) -> Value {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env_remove("DCOS_NODE_BOOTSTRAP_URL")
        .output()
        .expect("run dcos-node");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A report with every field there is.
fn full_report() -> Value {
    let check = Check {
        id: "time.sync",
        verdict: Verdict::Fail,
        found: "not synchronised".to_owned(),
        expected: "",
        why: "",
        cure: Some(String::new()),
        skippable: true,
        skipped_because: Some(String::new()),
    };
    let protection =
        Protection { sealed: Some(Sealed::NotEnforced), not_enforced_because: Some(String::new()) };
    let missing = MissingPiece { piece: "pid-namespace", because: String::new() };
    let scripts = Some(Scripts { view: ScriptView::CopyOnWrite, missing: vec![missing] });
    json!(Report {
        schema: SCHEMA,
        role: Some(Role::Master),
        protection,
        scripts,
        checks: vec![check]
    })
}

/// The fields that a table of a document names, in its first column.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.rsplit('.').next().unwrap_or(name).trim_end_matches("[]").to_owned())
        .collect()
}

#[test]
fn documented_report_fields_match_the_program() {
    let text =
        std::fs::read_to_string(document("preflight-schema.md")).expect("docs/preflight-schema.md");
    let mut real = fields_of(&full_report());
    assert!(fields_of(&printed(&["preflight", "master", "--json"])).is_subset(&real));
    assert!(fields_of(&printed(&["preflight", "--json", "--root", "/"])).is_subset(&real));
    real.extend(fields_of(&printed(&["preflight", "--list", "--json"])));
    real.extend(fields_of(&printed(&["explain", "time.sync", "--json"])));
    assert_eq!(documented(&text), real);
}

#[test]
fn report_schema_number_and_words_are_documented() {
    let text =
        std::fs::read_to_string(document("preflight-schema.md")).expect("docs/preflight-schema.md");
    let verdicts =
        [Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Skipped, Verdict::Unknown]
            .map(|v| json!(v));
    let sealed = [Sealed::MountNamespace, Sealed::Landlock, Sealed::NotEnforced].map(|s| json!(s));
    let severities = ["fail", "warn", "ignored"].map(|s| json!(s));
    for word in verdicts.iter().chain(&sealed).chain(&severities) {
        assert!(text.contains(&format!("`{word}`")), "{word} is not documented");
    }
    assert!(
        text.contains(&format!("This is schema {SCHEMA}.")),
        "which schema it is is not documented"
    );
}

#[test]
fn documented_example_has_the_form_of_a_report() {
    let text =
        std::fs::read_to_string(document("preflight-schema.md")).expect("docs/preflight-schema.md");
    let example = text
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let example: Value = serde_json::from_str(example).expect("the example is JSON");
    assert_eq!(example["schema"], SCHEMA);
    assert_eq!(fields_of(&example), fields_of(&full_report()));
    for check in example["checks"].as_array().expect("checks") {
        let id = check["id"].as_str().expect("an id");
        assert!(preflight::find(id).is_some(), "there is no check {id} any more");
    }
}

/// An index with every field there is.
fn full_index() -> Value {
    use dcos_node::dcos::index::{Alternative, Artifact, Content, Index, SCHEMA};
    use dcos_node::dcos::installer_script::NodeFile;
    use dcos_node::dcos::settings::Version;

    let alternative = Alternative { path: String::new(), bytes: 0, sha256: String::new() };
    let artifact = Artifact {
        bytes: 0,
        sha256: String::new(),
        content: Some(Content::default()),
        alternative: Some(alternative),
    };
    json!(Index {
        schema: SCHEMA,
        written_by: String::new(),
        version: Some(Version {
            version: String::new(),
            image_commit: Some(String::new()),
            variant: Some(String::new())
        }),
        bootstrap_id: String::new(),
        package_list_id: String::new(),
        bootstrap_packages: Vec::new(),
        packages: Vec::new(),
        artifacts: [("PATH".to_owned(), artifact)].into(),
        node_files: vec![NodeFile { path: PathBuf::new(), mode: 0, content: String::new() }],
    })
}

#[test]
fn documented_build_index_fields_match_the_program() {
    let text = std::fs::read_to_string(document("build-index.md")).expect("docs/build-index.md");
    let mut real = fields_of(&full_index());
    real.remove("PATH");
    assert_eq!(documented(&text), real);
    assert!(
        text.contains(&format!("This is schema {}.", dcos_node::dcos::index::SCHEMA)),
        "which schema it is is not documented"
    );
    let stamp = text
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example of a stamp");
    dcos_node::dcos::stamp::Stamp::parse(stamp.as_bytes()).expect("the example is a stamp");
}

/// An uninstall with every field there is.
fn full_uninstall() -> Value {
    let item = vec![Item::new("file", "", "")];
    let report = Leftovers {
        schema: proof::SCHEMA,
        compared: true,
        removed: item.clone(),
        kept: item.clone(),
        foreign: item.clone(),
        residue: item.clone(),
        gone: item.clone(),
        unknown: item,
        searched: vec![String::new()],
        afterwards: vec![String::new()],
    };
    let protection =
        Protection { sealed: Some(Sealed::NotEnforced), not_enforced_because: Some(String::new()) };
    let plan = vec![Preview { key: ActionKey::Stop, text: String::new() }];
    let cluster = uninstall::Ties {
        registered: Some(true),
        tasks: Some(1),
        frameworks: vec![Framework { name: String::new(), tasks: 1 }],
        masters: vec![Member { host: String::new(), serving: Serving::Serving, leads: true }],
        warnings: Vec::new(),
        afterwards: Vec::new(),
        drained_seconds: Some(0),
    };
    json!(uninstall::Outcome {
        changed: true,
        cluster: Some(cluster),
        kept: vec![uninstall::Data {
            path: "/".into(),
            bytes: 0,
            holds: "",
            mounted: true,
            behind_link: Some("/".into()),
            effect: Some("")
        }],
        foreign: vec![String::new()],
        report: Some(report),
        plan,
        protection
    })
}

#[test]
fn documented_uninstall_fields_match_the_program() {
    let text =
        std::fs::read_to_string(document("uninstall-report.md")).expect("docs/uninstall-report.md");
    assert_eq!(documented(&text), fields_of(&full_uninstall()));
    assert!(
        text.contains(&format!("This is schema {}.", proof::SCHEMA)),
        "which schema it is is not documented"
    );
    let example = text
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let example: Value = serde_json::from_str(example).expect("the example is JSON");
    assert!(fields_of(&example).is_subset(&fields_of(&full_uninstall())));
    for object in [
        Object::Sysctl { name: String::new(), before: String::new() },
        Object::Scratch { path: "/".into() },
        Object::ResolvConf { before: Before::Absent },
        Object::RoutingRule { rule: String::new() },
        Object::Environment { name: String::new(), before: None },
    ] {
        assert!(
            text.contains(&format!("`{}`", object.kind())),
            "{} is not documented",
            object.kind()
        );
    }
}
