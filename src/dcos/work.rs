//! What a Mesos agent runs, and whether the masters know of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where an agent tells of its frameworks and their tasks (Mesos, endpoints of the agent).
pub const AGENT_STATE: &str = "/state";
/// Where the leading master tells of its agents.
pub const MASTER_AGENTS: &str = "/slaves";
/// What Mesos counts of tasks that are not over (Mesos, monitoring).
pub const TASK_COUNTS: [&str; 4] =
    ["slave/tasks_running", "slave/tasks_staging", "slave/tasks_starting", "slave/tasks_killing"];
/// Whether the agent counts itself as registered.
pub const REGISTERED: &str = "slave/registered";

/// Tasks of one framework on one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Framework {
    /// As it calls itself, such as `marathon`.
    pub name: String,
    /// Tasks that are not over.
    pub tasks: u64,
}

/// What an agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The agent's own id; none before it was registered, and where only counts are known.
    pub id: Option<String>,
    /// Tasks that are not over.
    pub tasks: u64,
    /// The same by framework, the busiest first; empty where only counts are known.
    pub frameworks: Vec<Framework>,
}

#[derive(Deserialize)]
struct State {
    id: Option<String>,
    #[serde(default)]
    frameworks: Vec<RawFramework>,
}

#[derive(Deserialize)]
struct RawFramework {
    name: String,
    #[serde(default)]
    executors: Vec<RawExecutor>,
}

#[derive(Deserialize)]
struct RawExecutor {
    #[serde(default)]
    tasks: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    queued_tasks: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Agents {
    slaves: Vec<RawAgent>,
}

#[derive(Deserialize)]
struct RawAgent {
    id: String,
    /// `slave(1)@10.0.0.5:5051`
    #[serde(default)]
    pid: String,
    #[serde(default)]
    active: bool,
}

impl Work {
    /// Reads the answer to [`AGENT_STATE`]. None for anything else.
    pub fn parse(text: &[u8]) -> Option<Work> {
        let state: State = serde_json::from_slice(text).ok()?;
        let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
        for framework in state.frameworks {
            let tasks = framework
                .executors
                .iter()
                .map(|executor| (executor.tasks.len() + executor.queued_tasks.len()) as u64);
            *by_name.entry(framework.name).or_default() += tasks.sum::<u64>();
        }
        let mut frameworks: Vec<Framework> =
            by_name.into_iter().map(|(name, tasks)| Framework { name, tasks }).collect();
        frameworks.retain(|framework| framework.tasks > 0);
        frameworks.sort_by_key(|framework| std::cmp::Reverse(framework.tasks));
        let tasks = frameworks.iter().map(|framework| framework.tasks).sum();
        Some(Work { id: state.id.filter(|id| !id.is_empty()), tasks, frameworks })
    }

    /// `no task`, or `3 tasks (marathon: 2, metronome: 1)`.
    pub fn words(&self) -> String {
        let names: Vec<String> = self
            .frameworks
            .iter()
            .map(|framework| format!("{}: {}", framework.name, framework.tasks))
            .collect();
        let of = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        match self.tasks {
            0 => "no task".into(),
            1 => format!("1 task{of}"),
            n => format!("{n} tasks{of}"),
        }
    }
}

/// Reads the answer to [`MASTER_AGENTS`]: whether an agent of this id, or at this address, is
/// active. None for anything else.
pub fn is_registered(text: &[u8], id: Option<&str>, address: &str) -> Option<bool> {
    let agents: Agents = serde_json::from_slice(text).ok()?;
    let at = |pid: &str| {
        pid.rsplit_once('@')
            .and_then(|(_, at)| at.rsplit_once(':'))
            .is_some_and(|(host, _)| host == address)
    };
    Some(
        agents
            .slaves
            .iter()
            .any(|agent| agent.active && (Some(agent.id.as_str()) == id || at(&agent.pid))),
    )
}

/// Reads the same for an agent that does not run: whether the masters have not given it up. None
/// for anything else.
pub fn is_listed(text: &[u8], id: &str) -> Option<bool> {
    let agents: Agents = serde_json::from_slice(text).ok()?;
    Some(agents.slaves.iter().any(|agent| agent.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted_by_the_names_of_their_frameworks() {
        let state = br#"{"id":"a-S1","frameworks":[
            {"name":"marathon","executors":[{"tasks":[{"id":"x"},{"id":"y"}],"queued_tasks":[],"completed_tasks":[{"id":"z"}]}]},
            {"name":"idle","executors":[{"tasks":[]}]},
            {"name":"metronome","executors":[{"queued_tasks":[{"id":"q"}]}]}]}"#;
        let work = Work::parse(state).unwrap();
        assert_eq!((work.tasks, work.words().as_str()), (3, "3 tasks (marathon: 2, metronome: 1)"));
        assert_eq!(work.id.as_deref(), Some("a-S1"));
        assert_eq!(Work::parse(b"{}").unwrap().words(), "no task");
        assert_eq!(Work::parse(b"<html>"), None);
    }

    #[test]
    fn active_agent_is_found_by_its_id_or_its_address() {
        let answer = br#"{"slaves":[{"id":"a-S1","pid":"slave(1)@10.0.0.5:5051","active":true},
            {"id":"a-S2","pid":"slave(1)@10.0.0.6:5051","active":false}]}"#;
        assert_eq!(is_registered(answer, Some("a-S1"), "10.9.9.9"), Some(true));
        assert_eq!(is_registered(answer, None, "10.0.0.5"), Some(true));
        assert_eq!(is_registered(answer, Some("a-S2"), "10.0.0.6"), Some(false));
        assert_eq!(is_registered(answer, None, "10.0.0"), Some(false));
        assert_eq!(is_registered(b"[]", None, "10.0.0.5"), None);
        assert_eq!(
            (is_listed(answer, "a-S2"), is_listed(answer, "a-S3"), is_listed(b"[]", "a-S2")),
            (Some(true), Some(false), None)
        );
    }
}
