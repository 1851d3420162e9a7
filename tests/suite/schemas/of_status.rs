//! The document of a status.

use dcos_node::command::drift::{Address, Drift, Files, Offered, ResolvConf};
use dcos_node::command::status;
use dcos_node::dcos::cluster::{Member, Serving};
use dcos_node::dcos::contrast::{self, Pair, What};
use dcos_node::dcos::level::Level;
use dcos_node::dcos::receipt::Skip;
use dcos_node::dcos::role::Role;
use dcos_node::dcos::settings::Version;
use dcos_node::dcos::trust::Trust;
use dcos_node::observe::cause::Cause;
use dcos_node::observe::chain::{Concern, Link, Obstacle};
use dcos_node::observe::log_line::LogLine;
use dcos_node::observe::node::{Foreign, State};
use dcos_node::observe::readiness::Readiness;
use dcos_node::observe::records::Damaged;
use dcos_node::observe::services::{Condition, UnitReport};
use dcos_node::preflight::report::Verdict;
use serde_json::json;

use super::{ailments, difference, document, documented, fields, tells, unknown, warnings};

/// A status with every field there is.
pub(super) fn full_status() -> status::Outcome {
    let offered = Offered {
        url: String::new(),
        same: None,
        difference: Some(contrast::Difference::Release),
        differences: vec![Pair {
            what: What::Package,
            here: String::new(),
            offered: String::new(),
        }],
        more_packages: Some(0),
        bootstrap_id: Some(String::new()),
        config_package: Some(String::new()),
        unknown: Some(String::new()),
    };
    let drift = Drift {
        drifted: true,
        address: Some(Address {
            recorded: String::new(),
            now: None,
            changed: false,
            recorded_is_here: false,
        }),
        resolv_conf: Some(ResolvConf { generated: true, keeper: String::new() }),
        files: Files {
            changed: 0,
            missing: 0,
            extra: 0,
            accepted: 0,
            first: vec![difference()],
            unknown: vec![unknown()],
        },
        foreign_units: Vec::new(),
        offered: Some(offered),
    };
    let unit = UnitReport {
        name: String::new(),
        description: String::new(),
        active: String::new(),
        sub: String::new(),
        condition: Condition::Well,
        steady: true,
        fell: false,
        auxiliary: false,
        active_seconds: Some(0),
        restarts: Some(0),
        restarted: Some(0),
        why: Some(Cause::Starting),
        cure: Some(String::new()),
        log: vec![LogLine { identifier: String::new(), message: String::new() }],
    };
    let obstacle = Obstacle {
        link: Link::Net,
        level: Level::Started,
        unit: Some(String::new()),
        concern: Concern::Install,
        text: String::new(),
        cure: Some(String::new()),
    };
    let masters = vec![Member { host: String::new(), serving: Serving::Serving, leads: true }];
    status::Outcome {
        schema: status::SCHEMA,
        state: State::Installed,
        role: Some(Role::Master),
        version: Some(Version {
            version: String::new(),
            image_commit: Some(String::new()),
            variant: Some(String::new()),
        }),
        bootstrap_url: None,
        bootstrap_id: None,
        package_list_id: None,
        trust: Some(Trust::Unverified),
        index_sha256: None,
        config_package: None,
        installed_at: None,
        installed_by: None,
        packages: 0,
        fetched: Vec::new(),
        kept_data: vec!["/".into()],
        starts_at_boot: true,
        degraded: false,
        unhealthy: ailments(),
        units: vec![unit],
        units_unknown: Some(String::new()),
        readiness: Some(Readiness { level: None, obstacles: vec![obstacle], masters }),
        arrived: true,
        urls: vec![String::new()],
        warnings: warnings(),
        skips: vec![status::SkippedCheck {
            skip: Skip { check: String::new(), reason: String::new() },
            now: Some(Verdict::Pass),
            found: None,
            not_judged_because: Some(String::new()),
        }],
        foreign: vec![Foreign::new("/", "")],
        unfinished: Vec::new(),
        drift: Some(drift),
        adopted: false,
        activated_since: Vec::new(),
        deactivated_since: Vec::new(),
        swap: Some(status::Swap {
            process: Some(0),
            packages: None,
            not_to_be_finished_because: Some(String::new()),
        }),
        damaged: vec![Damaged { path: "/".into(), why: String::new() }],
        partial: false,
        overdue: false,
    }
}

#[test]
fn documented_status_fields_match_the_program() {
    let text = document("status-schema.md");
    assert_eq!(documented(&text), fields(&json!(full_status())));
    assert!(text.contains(&format!("This is schema {}.", status::SCHEMA)));
    let states = [
        State::Clean,
        State::Installed,
        State::Prepared,
        State::Installing,
        State::Uninstalling,
        State::Foreign,
    ]
    .map(|s| json!(s));
    let conditions =
        [Condition::Well, Condition::Converging, Condition::Failed, Condition::AuxiliaryFailed]
            .map(|c| json!(c));
    let differences = [
        contrast::Difference::Release,
        contrast::Difference::Configuration,
        contrast::Difference::ReleaseAndConfiguration,
    ];
    let values = [
        What::BootstrapId,
        What::PackageList,
        What::BuildDigest,
        What::Configuration,
        What::Package,
    ]
    .map(|what| json!(what));
    tells(
        &text,
        &[
            &states[..],
            &conditions,
            &differences.map(|d| json!(d)),
            &values,
            &Level::ALL.map(|l| json!(l)),
        ]
        .concat(),
    );
    tells(
        &text,
        &[Serving::Serving, Serving::NotServing, Serving::Latent, Serving::Down].map(|s| json!(s)),
    );
}
