//! `dcos-node bundle`: what support needs, in one file and without secrets. Works on any node, in
//! any state, and goes on where a part cannot be had.

mod logs;
mod machine;
mod parts;
mod units;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::{Failure, World, preflight, status, verify};
use crate::dcos::bundle::{CONFIGURATION, LeftOut, OF_NODE, Part, SCHEMA, left_out, other_units};
use crate::dcos::exit::Exit;
use crate::dcos::redact::Redactor;
use crate::dcos::{layout, moment};
use crate::observe::node::Node;
use crate::observe::services;
use crate::system::files::{self, Held};
use crate::system::systemd::Unit;
use crate::system::tarball;
use parts::Parts;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The file to write, or a directory for it.
    pub file: PathBuf,
    /// Other units whose state and log are wanted too.
    pub units: Vec<String>,
}

/// What was collected.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The file.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// How many secrets were taken out.
    pub redacted: usize,
    /// What is in it, and what could not be collected.
    pub parts: Vec<Part>,
    /// What is not in it on purpose.
    pub left_out: Vec<LeftOut>,
}

/// What the bundle itself says of its parts (`contents.json`).
#[derive(Clone, Debug, Serialize)]
struct Contents<'a> {
    schema: u32,
    made_at: String,
    dcos_node: &'static str,
    parts: &'a [Part],
    left_out: Vec<LeftOut>,
}

/// The first file of every bundle.
const CONTENTS: &str = "contents.json";
/// How long one part may take; the node may be in any state.
const PATIENCE: Duration = Duration::from_secs(60);
/// The comparison reads all packages.
const PATIENCE_FOR_PACKAGES: Duration = Duration::from_secs(300);

/// Collects.
///
/// # Errors
/// The file cannot be written, or would replace another one. What cannot be collected is noted in
/// it.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    refuse_to_replace(&request.file)?;
    let redactor = Redactor::new()
        .map_err(|error| Failure::new(Exit::Failed, error).leaving("no bundle was written"))?;
    let mut parts = Parts::new(&redactor);
    let made = SystemTime::now();
    world.cancellation.or(collect(&mut parts, &request.units, world)).await.map_err(
        |cancelled| {
            Failure::new(Exit::Interrupted, cancelled)
                .leaving("no bundle was written")
                .cured_by("run the same command again")
        },
    )?;
    let path = path(&request.file, &parts.host(), made);
    let contents = Contents {
        schema: SCHEMA,
        made_at: moment::rfc3339(made),
        dcos_node: env!("CARGO_PKG_VERSION"),
        parts: parts.list(),
        left_out: left_out(),
    };
    // What could not be collected says why in words of others, so this is redacted as everything
    // is.
    let mut contents = serde_json::to_value(&contents).unwrap_or_default();
    redactor.value(&mut contents);
    let contents = serde_json::to_vec_pretty(&contents).unwrap_or_default();
    let (list, mut packed) = parts.into_files();
    packed.insert(0, (CONTENTS.to_owned(), contents));
    // Again: another process may have put something there meanwhile.
    let held = replaceable(&path)?;
    let placed = tokio::task::spawn_blocking(move || tarball::place(&held, &packed, made))
        .await
        .map_err(anyhow::Error::from)?;
    let bytes = placed.map_err(unwritten)?;
    let redacted = list.iter().map(|part| part.redacted).sum();
    Ok(Outcome { schema: SCHEMA, file: path, bytes, redacted, parts: list, left_out: left_out() })
}

async fn collect(parts: &mut Parts<'_>, asked: &[String], world: &World) {
    records(parts, world);
    machine::collect(parts, world).await;
    match world.node_as_it_stands().await {
        Ok(node) => of_node(parts, node, asked, world).await,
        Err(failure) => parts.missing("node.json", format!("{:#}", failure.error)),
    }
    units::collect(parts, &world.root);
    configuration(parts, world);
}

/// Our own receipt and journal, and the one that was put aside because it could not be followed.
fn records(parts: &mut Parts, world: &World) {
    parts.file("receipt.json", &world.root, layout::RECEIPT, true);
    parts.lines("journal", &world.root, layout::JOURNAL, true);
    parts.lines("journal.damaged", &world.root, layout::DAMAGED_JOURNAL, false);
}

/// What the other commands tell of the node, and the state and log of each unit.
async fn of_node(parts: &mut Parts<'_>, node: Node, asked: &[String], world: &World) {
    parts.value(
        "preflight.json",
        tokio::time::timeout(PATIENCE, preflight::judge_again(world, &node))
            .await
            .map_err(|_| late()),
    );
    let status =
        tokio::time::timeout(PATIENCE, status::run(status::Request::default(), world)).await;
    parts.value(
        "status.json",
        status
            .map_err(|_| late())
            .and_then(|status| status.map_err(|failure| format!("{:#}", failure.error))),
    );
    let mut units: Vec<String> = services::of_role(&node.wanted_units)
        .into_iter()
        .chain(other_units().map(str::to_owned))
        .collect();
    for unit in asked {
        if !units.contains(unit) {
            units.push(unit.clone());
        }
    }
    parts.value(
        "units.json",
        tokio::time::timeout(PATIENCE, states(&units, world)).await.unwrap_or_else(|_| Err(late())),
    );
    let compared = verify::compare(node, Some(PATIENCE_FOR_PACKAGES), world).await;
    parts.value("verify.json", compared.map_err(|failure| format!("{:#}", failure.error)));
    logs::collect(parts, &units, &world.root).await;
}

fn late() -> String {
    format!("it took longer than {} s", PATIENCE.as_secs())
}

/// What systemd knows of each unit: also how it ended, and how often it was started again.
async fn states(units: &[String], world: &World) -> Result<Value, String> {
    let systemd = match &world.systemd {
        Some(systemd) => systemd.as_ref().map_err(Clone::clone)?,
        None => return Err("the node is a directory".into()),
    };
    let mut states = Vec::new();
    // That a unit of DC/OS is absent tells something; that a distribution has another time daemon
    // does not.
    let is_elsewhere = |unit: &Unit| {
        unit.load == "not-found"
            && other_units().any(|other| other == unit.name)
            && !unit.name.starts_with("dcos-")
    };
    for unit in systemd.units(units).await.map_err(|error| error.to_string())? {
        if is_elsewhere(&unit) {
            continue;
        }
        let mut state = serde_json::json!({
            "name": unit.name, "load": unit.load, "active": unit.active, "sub": unit.sub,
            "description": unit.description, "job_pending": unit.job_pending,
        });
        if unit.name.ends_with(".service")
            && let Ok(service) = systemd.service(&unit.name).await
        {
            let start_pre = service.start_pre.iter().map(
                |command| serde_json::json!({ "argv": command.argv, "status": command.status }),
            );
            let service = serde_json::json!({
                "result": service.result,
                "main_pid": service.main_pid,
                "exec_main_code": service.exec_main_code,
                "exec_main_status": service.exec_main_status,
                "restarts": service.restarts,
                "load_error": service.load_error,
                "active_enter_monotonic_us": service.active_enter_monotonic,
                "active_exit_monotonic_us": service.active_exit_monotonic,
                "exec_main_start_monotonic_us": service.exec_main_start_monotonic,
                "exec_main_exit_monotonic_us": service.exec_main_exit_monotonic,
                "start_pre": start_pre.collect::<Vec<_>>(),
            });
            state.as_object_mut().map(|state| state.insert("service".to_owned(), service));
        }
        states.push(state);
    }
    Ok(Value::from(states))
}

/// The configuration that is safe, and the names of what is not given away.
fn configuration(parts: &mut Parts, world: &World) {
    let etc = layout::active_name("etc");
    for name in CONFIGURATION {
        parts.file(&format!("etc/{name}"), &world.root, etc.join(name), false);
    }
    for (name, path) in OF_NODE {
        parts.file(&format!("node/{name}"), &world.root, path, false);
    }
    let names = world.root.names(&etc).map_err(|error| format!("{error}: {}", error.source));
    parts.value("etc-names.json", names);
}

/// A bundle may take the place of an older one, and of nothing else; and nothing is collected that
/// could not be written.
fn refuse_to_replace(asked: &Path) -> Result<(), Failure> {
    let text = asked.to_string_lossy();
    let why = if text == "-" {
        anyhow::anyhow!("- is no file, and a bundle is one")
    } else if text.ends_with('/') && !asked.is_dir() {
        anyhow::anyhow!("{text} is not a directory")
    } else {
        let directory = if asked.is_dir() { asked } else { asked.parent().unwrap_or(asked) };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        files::check_writable(directory).map_err(unwritten)?;
        return if asked.is_dir() { Ok(()) } else { replaceable(asked).map(drop) };
    };
    Err(refused(why))
}

/// The place of a bundle, if there is nothing or an older bundle of this user.
fn replaceable(path: &Path) -> Result<Held, Failure> {
    let held = files::hold(path).map_err(unwritten)?;
    if held.exists() && !tarball::begins_with(&held, CONTENTS) {
        let text = path.display();
        return Err(refused(anyhow::anyhow!(
            "{text} is there, and is no bundle that a new one could replace"
        )));
    }
    Ok(held)
}

fn refused(why: anyhow::Error) -> Failure {
    Failure::new(Exit::Usage, why)
        .leaving("no bundle was written")
        .cured_by("name another file, or a directory")
}

fn unwritten(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::Failed, error)
        .leaving("no bundle was written")
        .cured_by("name a file that can be written: dcos-node bundle FILE")
}

/// A directory gets a file with a name of its own, whatever stands there already.
fn path(asked: &Path, host: &str, made: SystemTime) -> PathBuf {
    let here =
        std::env::current_dir().map(|here| here.join(asked)).unwrap_or_else(|_| asked.to_owned());
    if !here.is_dir() {
        return here;
    }
    let (here, moment) =
        (here.components().collect::<PathBuf>(), moment::rfc3339(made).replace([':', '-'], ""));
    let names = (1..).map(|n: u32| if n == 1 { String::new() } else { format!("-{n}") });
    let mut paths =
        names.map(|more| here.join(format!("dcos-node-bundle-{host}-{moment}{more}.tar.gz")));
    paths.find(|path| !files::exists(path)).unwrap_or(here)
}
