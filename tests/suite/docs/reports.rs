//! Fields of the reports and of the build index.

use std::path::PathBuf;

use dcos_node::command::uninstall;
use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::cluster::{Member, Serving};
use dcos_node::dcos::preview::Preview;
use dcos_node::dcos::proof::{self, Item, Leftovers};
use dcos_node::dcos::receipt::{Before, Object};
use dcos_node::dcos::role::Role;
use dcos_node::dcos::work::Framework;
use dcos_node::preflight;
use dcos_node::preflight::report::{
    Check, MissingPiece, Protection, Report, SCHEMA, ScriptView, Scripts, Sealed, Verdict,
};
use serde_json::{Value, json};

use super::{document, documented, fields_of, printed};

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
