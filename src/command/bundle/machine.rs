//! The machine: its system, kernel, clock and network.

use serde_json::{Map, Value, json};

use super::parts::Parts;
use crate::command::World;
use crate::dcos::bundle::{OF_MACHINE, SETTINGS};
use crate::dcos::layout;
use crate::observe::snapshot;
use crate::system::sysctl;

/// Collects. Of a directory there are only the files of its system.
pub(super) async fn collect(parts: &mut Parts<'_>, world: &World) {
    for (name, path) in OF_MACHINE
        .iter()
        .filter(|(_, path)| world.root.is_live() || !path.starts_with(layout::PROC))
    {
        parts.file(&format!("machine/{name}"), &world.root, path, false);
    }
    if world.root.is_live() {
        parts.value("machine/sysctls.json", Ok(settings(world)));
        parts.value("machine/clock.json", clock(world));
    }
    let systemd = world.systemd.as_ref().and_then(|systemd| systemd.as_deref().ok());
    parts.value("machine/network-and-units.json", Ok(snapshot::look(&world.root, systemd).await));
}

fn settings(world: &World) -> Map<String, Value> {
    let proc = world.root.at(layout::PROC);
    let value = |name: &str| match sysctl::read(&proc, name) {
        Ok(value) => json!(value),
        Err(error) => json!(format!("not to be read: {}", error.source)),
    };
    SETTINGS.iter().map(|name| ((*name).to_owned(), value(name))).collect()
}

fn clock(world: &World) -> Result<Value, String> {
    let state = world.clock.state().map_err(|error| error.to_string())?;
    Ok(json!({
        "marked_bad": state.marked_bad,
        "unsynchronised": state.unsynchronised,
        "estimated_error_us": u64::try_from(state.estimated_error.as_micros()).unwrap_or(u64::MAX),
        "max_error_us": u64::try_from(state.max_error.as_micros()).unwrap_or(u64::MAX),
    }))
}
