//! What the parts of a cluster say of themselves: Exhibitor, ZooKeeper, Mesos and DC/OS' own check
//! runner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where Exhibitor answers on a master.
pub const EXHIBITOR_PORT: u16 = 8181;
/// Where ZooKeeper answers on a master.
pub const ZOOKEEPER_PORT: u16 = 2181;
/// Where Mesos answers on a master.
pub const MESOS_MASTER_PORT: u16 = 5050;
/// Where Mesos answers on an agent.
pub const MESOS_AGENT_PORT: u16 = 5051;
/// The states of all masters. Asks for no password, whatever else does (`exhibitor_web.xml`).
pub const EXHIBITOR_STATUS: &str = "/exhibitor/v1/cluster/status";
/// What Mesos counts.
pub const MESOS_METRICS: &str = "/metrics/snapshot";
/// Admin Router's smallest file that needs no login; the same on masters and agents.
pub const ADMIN_ROUTER_VERSION: &str = "/dcos-metadata/dcos-version.json";
/// The name that dcos-net answers on every node.
pub const READY: &str = "ready.spartan";
/// The name of the leading master, as mesos-dns has it.
pub const LEADER: &str = "leader.mesos";

/// How a master's ZooKeeper is, in Exhibitor's eyes (Exhibitor d345d2d, InstanceStateTypes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// Not looked at yet.
    Latent,
    /// Does not run.
    Down,
    /// Runs without a quorum.
    NotServing,
    /// Serves.
    Serving,
}

/// One master of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// As Exhibitor has it; mostly an address.
    pub host: String,
    /// How it is.
    pub serving: Serving,
    /// Whether it leads.
    pub leads: bool,
}

/// All masters that Exhibitor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ensemble {
    /// In Exhibitor's order.
    pub members: Vec<Member>,
}

#[derive(Deserialize)]
struct Status {
    code: u8,
    hostname: String,
    #[serde(rename = "isLeader")]
    is_leader: bool,
}

impl Ensemble {
    /// Reads the answer to [`EXHIBITOR_STATUS`]. None for anything else, as the page of a proxy.
    pub fn parse(text: &[u8]) -> Option<Ensemble> {
        let states: Vec<Status> = serde_json::from_slice(text).ok()?;
        let serving = |code| match code {
            0 => Serving::Latent,
            2 => Serving::NotServing,
            3 => Serving::Serving,
            _ => Serving::Down,
        };
        let members = states.into_iter().map(|s| Member {
            serving: serving(s.code),
            host: s.hostname,
            leads: s.is_leader,
        });
        Some(Ensemble { members: members.collect() })
    }

    /// Members that serve.
    pub fn serving(&self) -> usize {
        self.members.iter().filter(|m| m.serving == Serving::Serving).count()
    }

    /// Members that lead.
    pub fn leaders(&self) -> usize {
        self.members.iter().filter(|m| m.leads).count()
    }

    /// Whether more than half of the masters serve: what ZooKeeper needs to take a write.
    pub fn has_quorum(&self) -> bool {
        self.serving() * 2 > self.members.len()
    }

    /// Whether the ensemble has a quorum now, and would not without this member.
    pub fn would_lose_quorum_without(&self, host: &str) -> bool {
        let serves = self.members.iter().any(|m| m.host == host && m.serving == Serving::Serving);
        // The member stays configured, so the others must still be more than half of all. An
        // ensemble of one has nobody to lose but itself.
        serves
            && self.has_quorum()
            && self.members.len() > 1
            && (self.serving() - 1) * 2 <= self.members.len()
    }

    /// Whether all of so many masters serve and exactly one leads (`exhibitor.py` 1.12, wait).
    pub fn is_converged(&self, masters: usize) -> bool {
        self.serving() >= masters.max(1)
            && self.serving() == self.members.len()
            && self.leaders() == 1
    }

    /// The members that the others wait for: those that do not run, else those that run and do not
    /// serve.
    pub fn missing(&self) -> Vec<String> {
        let which = |wanted: &[Serving]| -> Vec<String> {
            self.members
                .iter()
                .filter(|m| wanted.contains(&m.serving))
                .map(|m| m.host.clone())
                .collect()
        };
        let absent = which(&[Serving::Latent, Serving::Down]);
        if absent.is_empty() { which(&[Serving::NotServing]) } else { absent }
    }
}

/// What a ZooKeeper does in its ensemble (`srvr`, ZooKeeper administrator's guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Leads.
    Leader,
    /// Follows.
    Follower,
    /// Is alone.
    Standalone,
}

impl Mode {
    /// Reads the answer to `srvr`. None for one that serves nobody.
    pub fn parse(answer: &str) -> Option<Mode> {
        match answer.lines().find_map(|line| line.strip_prefix("Mode: "))?.trim() {
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            "standalone" => Some(Mode::Standalone),
            _ => None,
        }
    }
}

/// What Mesos counts, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the answer to [`MESOS_METRICS`].
    pub fn parse(text: &[u8]) -> Option<Metrics> {
        let all: BTreeMap<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
        Some(Metrics(
            all.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect(),
        ))
    }

    /// One count.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Whether a switch is on.
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == Some(1.0)
    }

    /// How many there are of something that may go by several names.
    pub fn count(&self, names: &[&str]) -> u64 {
        // Mesos counts in whole numbers that it writes as 3.0.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are small and not negative"
        )]
        let whole = |value: f64| value.max(0.0) as u64;
        names.iter().filter_map(|name| self.get(name)).map(whole).sum()
    }
}

/// A check of DC/OS' own that does not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// Its name.
    pub name: String,
    /// What it printed.
    pub output: String,
}

/// Reads what `dcos-check-runner check` prints. Its exit code tells little: 1.12 exits 0 over
/// checks that it could not run, and drops names that it does not know (`checks.json`, executed).
///
/// # Errors
/// Text that is no report of checks; and the runner's own word for checks that it could not run.
pub fn failed_checks(text: &[u8]) -> Result<Vec<FailedCheck>, String> {
    let report: serde_json::Value =
        serde_json::from_slice(text).map_err(|e| format!("it printed no JSON: {e}"))?;
    if let Some(error) = report.get("error").and_then(|e| e.as_str()) {
        let which = report
            .get("checks")
            .and_then(|c| c.as_array())
            .map(|all| all.iter().filter_map(|c| c.as_str()).collect::<Vec<_>>());
        return Err(format!("{error} {}", which.unwrap_or_default().join("; ")).trim().to_owned());
    }
    let Some(checks) = report.get("checks").and_then(|c| c.as_object()) else {
        return Err("it printed no list of checks".into());
    };
    // Names that it does not know are dropped without a word, and every DC/OS has poststart checks.
    if checks.is_empty() {
        return Err("it ran no checks at all".into());
    }
    // 0 good, 1 warning, 2 failure, 3 unknown.
    let status_of = |of: &serde_json::Value| of.get("status").and_then(serde_json::Value::as_u64);
    let bad = checks.iter().filter_map(|(name, check)| {
        let status = status_of(check).unwrap_or(3);
        let output =
            check.get("output").and_then(|o| o.as_str()).unwrap_or_default().trim().to_owned();
        (status > 1).then(|| FailedCheck { name: name.clone(), output })
    });
    let bad: Vec<FailedCheck> = bad.collect();
    match status_of(&report) {
        Some(status) if status > 1 && bad.is_empty() => {
            Err(format!("its status is {status}, although no check of it failed"))
        }
        _ => Ok(bad),
    }
}

/// The credentials in Exhibitor's realm file: `user: password[,role]` (`exhibitor_realm`, made of
/// `exhibitor_admin_password`).
pub fn realm(text: &str) -> Option<(String, String)> {
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let (user, rest) = line.split_once(':')?;
    let password = rest.split(',').next().unwrap_or_default().trim();
    (!user.trim().is_empty() && !password.is_empty())
        .then(|| (user.trim().to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble(codes: &[u8]) -> Ensemble {
        let state = |(n, code): (usize, &u8)| {
            format!(
                r#"{{"code":{code},"description":"","hostname":"10.0.0.{n}","isLeader":{}}}"#,
                n == 0
            )
        };
        let states: Vec<String> = codes.iter().enumerate().map(state).collect();
        Ensemble::parse(format!("[{}]", states.join(",")).as_bytes()).unwrap()
    }

    #[test]
    fn master_is_needed_only_where_a_quorum_would_be_lost() {
        for (codes, leaving, lost) in [
            (&[3, 3, 3][..], "10.0.0.1", false),
            (&[3, 3, 1], "10.0.0.1", true),
            (&[3, 3, 1], "10.0.0.2", false),
            (&[3, 1, 1], "10.0.0.0", false),
            (&[3], "10.0.0.0", false),
            (&[3, 3, 3, 3, 1], "10.0.0.0", false),
            (&[3, 3, 3, 1, 1], "10.0.0.0", true),
            (&[3, 3, 1], "10.9.9.9", false),
        ] {
            assert_eq!(
                ensemble(codes).would_lose_quorum_without(leaving),
                lost,
                "{codes:?} {leaving}"
            );
        }
    }

    #[test]
    fn masters_have_converged_when_all_serve_and_one_leads() {
        assert!(ensemble(&[3, 3, 3]).is_converged(3));
        assert!(!ensemble(&[3, 3, 1]).is_converged(3));
        assert!(!ensemble(&[3]).is_converged(3));
        assert!(!ensemble(&[]).is_converged(0));
        assert_eq!(ensemble(&[2, 2, 1]).missing(), ["10.0.0.2"]);
        assert_eq!(ensemble(&[3, 2, 3]).missing(), ["10.0.0.1"]);
        assert_eq!(Ensemble::parse(b"<html>"), None);
    }

    #[test]
    fn cluster_answers_are_parsed_and_garbage_is_rejected() {
        assert_eq!(Mode::parse("Zookeeper version: 3.4\nMode: follower\n"), Some(Mode::Follower));
        assert_eq!(
            Mode::parse("This ZooKeeper instance is not currently serving requests\n"),
            None
        );
        let metrics =
            Metrics::parse(br#"{"slave/registered":1.0,"slave/tasks_running":3.0,"x":"y"}"#)
                .unwrap();
        assert!(
            metrics.is("slave/registered")
                && metrics.count(&["slave/tasks_running", "slave/tasks_staging"]) == 3
        );
        assert_eq!(realm("# x\nadmin: secret,admin\n"), Some(("admin".into(), "secret".into())));
        assert_eq!(realm("nothing"), None);
    }

    #[test]
    fn check_runner_output_counts_not_its_exit_code() {
        assert_eq!(failed_checks(br#"{"status":0,"checks":{"a":{"status":0,"output":"fine"},"b":{"status":1,"output":""}}}"#), Ok(vec![]));
        let bad =
            failed_checks(br#"{"status":2,"checks":{"a":{"status":2,"output":"no\n"}}}"#).unwrap();
        assert_eq!(bad, [FailedCheck { name: "a".into(), output: "no".into() }]);
        assert!(
            failed_checks(br#"{"error":"failed to execute","checks":["xz: not there"]}"#)
                .unwrap_err()
                .contains("xz: not there")
        );
        assert!(failed_checks(b"").is_err());
        assert!(
            failed_checks(br#"{"status":0,"checks":{}}"#).unwrap_err().contains("no checks at all")
        );
        assert!(
            failed_checks(br#"{"status":3,"checks":{"a":{"status":0,"output":""}}}"#)
                .unwrap_err()
                .contains("its status is 3")
        );
    }
}
