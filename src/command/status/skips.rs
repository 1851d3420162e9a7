//! Checks that were skipped at the install, and how they would come out now.

use serde::Serialize;

use crate::command::{World, preflight};
use crate::dcos::receipt::Skip;
use crate::observe::node::Node;
use crate::preflight::report::{Report, Verdict};

/// A check that an operator took responsibility for, and how it would come out now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedCheck {
    /// What was skipped, and why.
    #[serde(flatten)]
    pub skip: Skip,
    /// How it comes out now; none if it was not judged again.
    pub now: Option<Verdict>,
    /// What was found now.
    pub found: Option<String>,
    /// Why it was not judged again; none if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_judged_because: Option<String>,
}

/// Checks that are not judged again, by how their names begin, and why: who asks for the status
/// wants it at once, and nobody bothered for it.
const NOT_AGAIN: [(&str, &str); 7] = [
    ("bootstrap.", NO_SERVER),
    ("dns.bootstrap", NO_SERVER),
    ("dns.hostname", NO_SERVER),
    ("dns.resolvers", NO_SERVER),
    ("ip-detect", NO_SCRIPT),
    ("ip6-detect", NO_SCRIPT),
    ("fault-domain", NO_SCRIPT),
];
const NO_SERVER: &str = "status asks no server";
const NO_SCRIPT: &str = "status judges no script of the build";

/// The skipped checks of a node, judged again where that takes no server and no script.
pub(super) async fn skips(node: &Node, world: &World) -> Vec<SkippedCheck> {
    let skips = node.receipt.as_ref().map(|r| r.skips.clone()).unwrap_or_default();
    if skips.is_empty() {
        return Vec::new();
    }
    let report = preflight::judge_again(world, node).await;
    skips.into_iter().map(|skip| judged_again(skip, &report)).collect()
}

fn judged_again(skip: Skip, report: &Report) -> SkippedCheck {
    let not_judged = |skip, why: &str| SkippedCheck {
        skip,
        now: None,
        found: None,
        not_judged_because: Some(why.to_owned()),
    };
    if let Some((_, why)) =
        NOT_AGAIN.iter().find(|(beginning, _)| skip.check.starts_with(beginning))
    {
        return not_judged(skip, why);
    }
    match report.checks.iter().find(|check| check.id == skip.check) {
        None => not_judged(skip, "this dcos-node has no such check"),
        Some(check) if matches!(check.verdict, Verdict::Skipped | Verdict::Unknown) => {
            not_judged(skip, &check.found)
        }
        Some(check) => SkippedCheck {
            skip,
            now: Some(check.verdict),
            found: Some(check.found.clone()),
            not_judged_because: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_not_repeated_are_in_the_table() {
        for (beginning, _) in NOT_AGAIN {
            assert!(
                crate::preflight::table().any(|rule| rule.id.starts_with(beginning)),
                "{beginning}"
            );
        }
    }
}
