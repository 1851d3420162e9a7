//! The bootstrap server.

use super::Facts;
use super::rule::{Finding, Rule, Severity};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "bootstrap.server",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "a DC/OS build that can be read",
        why: "the packages come from there",
        source: "gen/dcos-services.yaml: dcos-download.service",
        cure: "look at --bootstrap-url, and whether the server is up and reachable from here",
        look: build,
    },
    Rule {
        id: "bootstrap.clock",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "within 5 s of this node's",
        why: "certificates and cluster services compare clocks",
        source: "ours",
        cure: "synchronise the clocks of both",
        look: clock,
    },
];

fn build(facts: &Facts<'_>) -> Finding {
    match &facts.host.server {
        None => Finding::not_here("no --bootstrap-url given"),
        Some(Ok(what)) => Finding::good(what),
        Some(Err(why)) => Finding::bad(why),
    }
}

fn clock(facts: &Facts<'_>) -> Finding {
    match facts.host.skew {
        None => Finding::not_here("the server does not tell its time"),
        Some(skew) if skew.abs() <= 5 => Finding::good(format!("{skew} s ahead")),
        Some(skew) => Finding::bad(format!("{skew} s ahead")),
    }
}
