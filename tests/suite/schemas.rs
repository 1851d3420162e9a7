//! The documents of what status, verify and bundle print are those of the program, field by field.

mod of_status;

use std::collections::BTreeSet;
use std::path::Path;

use dcos_node::command::{adopt, bundle, fetch, install, publish, recover, verify, wait};
use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::ailment::Ailment;
use dcos_node::dcos::bundle::{Part, left_out};
use dcos_node::dcos::difference::{Aspect, Detail, Difference, Kind, Mark};
use dcos_node::dcos::preview::Preview;
use dcos_node::dcos::receipt::{Accepted, CheckWarning, Content};
use dcos_node::dcos::role::Role;
use dcos_node::dcos::trust::{Origins, Trust};
use dcos_node::observe::node::State;
use dcos_node::preflight::report::{Protection, Sealed};
use serde_json::{Value, json};

use of_status::full_status;

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name))
        .expect(name)
}

/// The names of all fields, at any depth.
fn fields(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| [BTreeSet::from([name.clone()]), fields(value)])
            .flatten()
            .collect(),
        Value::Array(list) => list.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}

/// The fields that the tables of a document name, in their first column.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.rsplit('.').next().unwrap_or(name).trim_end_matches("[]").to_owned())
        .collect()
}

#[track_caller]
fn tells(text: &str, words: &[Value]) {
    for word in words {
        assert!(text.contains(&format!("`{word}`")), "{word} is not documented");
    }
}

fn difference() -> Difference {
    let details = vec![Detail { aspect: Aspect::Size, was: String::new(), is: String::new() }];
    Difference {
        object: "/".into(),
        kind: Kind::Changed,
        of: String::new(),
        mark: Some(Mark::Config),
        details,
    }
}

fn unknown() -> verify::Unknown {
    verify::Unknown { what: String::new(), why: String::new() }
}

fn accepted() -> Accepted {
    Accepted {
        path: "/".into(),
        content: Content::File { sha256: String::new() },
        at: String::new(),
        reason: String::new(),
    }
}

#[test]
fn documented_verify_fields_match_the_program() {
    let outcome = verify::Outcome {
        schema: verify::SCHEMA,
        state: State::Installed,
        role: None,
        clean: false,
        trust: Some(Trust::Verified),
        index_sha256: Some(String::new()),
        packages: 0,
        paths: 0,
        bytes: 0,
        differences: vec![difference()],
        at_run_time: Vec::new(),
        accepted: vec![
            accepted(),
            Accepted { content: Content::Link { target: "/".into() }, ..accepted() },
        ],
        unknown: vec![unknown()],
        protection: Protection {
            sealed: Some(Sealed::NotEnforced),
            not_enforced_because: Some(String::new()),
        },
    };
    let text = document("verify-schema.md");
    assert_eq!(documented(&text), fields(&json!(outcome)));
    assert!(text.contains(&format!("This is schema {}.", verify::SCHEMA)));
    let aspects = [
        Aspect::Size,
        Aspect::Mode,
        Aspect::Digest,
        Aspect::Kind,
        Aspect::Link,
        Aspect::User,
        Aspect::Group,
        Aspect::Time,
        Aspect::Capabilities,
        Aspect::Label,
    ];
    tells(&text, &aspects.map(|a| json!(a)));
    tells(
        &text,
        &[
            json!(Kind::Changed),
            json!(Kind::Missing),
            json!(Kind::Extra),
            json!(Mark::Config),
            json!(Mark::RunTime),
            json!(Mark::Accepted),
        ],
    );
}

#[test]
fn documented_bundle_fields_match_the_program() {
    let part = Part {
        name: String::new(),
        bytes: Some(0),
        redacted: 0,
        cut: false,
        missing_because: Some(String::new()),
    };
    let outcome = bundle::Outcome {
        schema: dcos_node::dcos::bundle::SCHEMA,
        file: "/".into(),
        bytes: 0,
        redacted: 0,
        parts: vec![part],
        left_out: left_out(),
    };
    let text = document("bundle.md");
    assert_eq!(documented(&text), fields(&json!(outcome)));
    assert!(text.contains(&format!("This is schema {};", dcos_node::dcos::bundle::SCHEMA)));
}

/// How a dry run was kept from writing.
fn protection() -> Protection {
    Protection { sealed: Some(Sealed::NotEnforced), not_enforced_because: Some(String::new()) }
}

fn warnings() -> Vec<CheckWarning> {
    let cure = Some(String::new());
    vec![CheckWarning { check: String::new(), unknown: true, found: String::new(), cure }]
}

/// One of each kind.
fn ailments() -> Vec<Ailment> {
    let unit = String::new;
    vec![
        Ailment::Failed { unit: unit(), why: Some(String::new()) },
        Ailment::Restarted { unit: unit(), times: 3 },
        Ailment::Late { unit: unit() },
        Ailment::Missing { count: 1 },
    ]
}

fn plan() -> Vec<Preview> {
    vec![Preview { key: ActionKey::Stop, text: String::new() }]
}

/// An install with every field there is; what a status has too is documented there.
fn full_install() -> install::Outcome {
    let status = full_status();
    install::Outcome {
        changed: true,
        degraded: true,
        unhealthy: ailments(),
        restored: vec![String::new()],
        role: Role::Master,
        version: status.version,
        bootstrap_url: String::new(),
        bootstrap_id: String::new(),
        package_list_id: String::new(),
        packages: 0,
        trust: Some(Trust::Unverified),
        index_sha256: Some(String::new()),
        origins: Origins { fetched: 1, ..Origins::default() },
        warnings: warnings(),
        units: Vec::new(),
        ready: status.readiness.map(|readiness| wait::Arrived {
            readiness,
            waited_seconds: 0,
            urls: vec![String::new()],
        }),
        left: Vec::new(),
        plan: plan(),
        protection: protection(),
    }
}

/// A part of a document, up to the next heading.
fn section(text: &str, heading: &str) -> String {
    let part = text
        .split(&format!("\n## {heading}\n"))
        .nth(1)
        .unwrap_or_else(|| panic!("no section {heading}"));
    part.split("\n## ").next().unwrap_or_default().to_owned()
}

#[test]
fn documented_output_fields_match_every_command() {
    let text = document("json.md");
    let mut install = fields(&json!(full_install()));
    let readiness = full_status().readiness.expect("a readiness");
    let elsewhere: BTreeSet<String> =
        [json!(readiness.obstacles), json!(readiness.masters)].iter().flat_map(fields).collect();
    install.retain(|field| {
        !elsewhere.contains(field) || ["cure", "level", "text", "unit"].contains(&field.as_str())
    });
    assert_eq!(documented(&section(&text, "install")), install);

    let fetch = fetch::Outcome {
        changed: true,
        bootstrap_url: String::new(),
        bootstrap_id: String::new(),
        package_list_id: String::new(),
        packages: 0,
        fetched_bytes: 0,
        trust: Some(Trust::Unverified),
        index_sha256: Some(String::new()),
        origins: Origins { fetched: 1, ..Origins::default() },
        plan: plan(),
        protection: protection(),
    };
    assert_eq!(documented(&section(&text, "fetch")), fields(&json!(fetch)));

    let recovered = [
        recover::Outcome::Nothing,
        recover::Outcome::Swapped { packages: 0, first: false },
        recover::Outcome::Uninstalled,
    ]
    .map(|outcome| json!(outcome));
    assert_eq!(documented(&section(&text, "recover")), recovered.iter().flat_map(fields).collect());
    tells(&text, &recovered.map(|outcome| outcome["did"].clone()));
    let installed = json!(recover::Outcome::Installed(Box::new(full_install())));
    tells(&text, &[installed["did"].clone()]);
    assert!(fields(&json!(full_install())).is_subset(&fields(&installed)));

    let version = full_status().version;
    let adopt = adopt::Outcome {
        changed: true,
        role: Role::Master,
        version: version.clone(),
        packages: 0,
        accepted: Vec::new(),
        left: Vec::new(),
        unhealthy: ailments(),
    };
    assert_eq!(documented(&section(&text, "adopt")), fields(&json!(adopt)));

    let publish = publish::Outcome {
        changed: true,
        directory: "/".into(),
        bootstrap_url: String::new(),
        version,
        bootstrap_id: String::new(),
        package_list_id: String::new(),
        index_sha256: String::new(),
        program_sha256: String::new(),
        program_bytes: 0,
        archives: 0,
        archive_bytes: 0,
        unpacked_bytes: 0,
        read: Vec::new(),
        reused: 0,
        recompressed: Some(publish::Saving::default()),
        install: String::new(),
    };
    assert_eq!(documented(&section(&text, "publish")), fields(&json!(publish)));
}

/// Every document that a command prints is in the table of files.md, with the page that describes
/// it.
#[test]
fn every_printed_document_is_listed_with_its_page() {
    let text = section(&document("files.md"), "What is printed");
    for command in [
        "preflight",
        "explain",
        "install",
        "fetch",
        "recover",
        "adopt",
        "status",
        "verify",
        "bundle",
        "uninstall",
        "publish",
    ] {
        let row = text.lines().find(|line| line.contains(&format!("`{command}")));
        assert!(
            row.is_some_and(|row| row.contains(".md)")),
            "docs/files.md does not say where the JSON of {command} is described: {row:?}"
        );
    }
}
