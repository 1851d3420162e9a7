//! What of the packet filter goes with DC/OS, and what of it is only told.

use crate::dcos::firewall::{Line, OVERLAY_SET, Owner, SETS};
use crate::dcos::network::Network;
use crate::dcos::proof::{Item, Subject, TABLE};
use crate::dcos::receipt::Object;

/// What is DC/OS' own and was not there before: sets, then the chains that use them, then the rules
/// that use both. The last goes first.
pub(super) fn objects(now: &Network, was: &Network) -> Vec<Object> {
    let sets = now.sets.iter().filter(|set| is_own_set(set, now) && !was.sets.contains(set));
    let mut objects: Vec<Object> = sets.map(|set| Object::IpSet { name: set.clone() }).collect();
    objects.extend(new_lines(now, was).filter_map(chain));
    objects.extend(new_lines(now, was).filter(|line| line.owner == Owner::Rule).map(|line| {
        Object::FirewallRule {
            program: line.program.clone(),
            table: line.table.clone(),
            rule: line.text.clone(),
        }
    }));
    objects
}

/// What is new since the install and may be DC/OS' or not. Without a snapshot nothing tells that a
/// set is new, unless it has a name that DC/OS gives.
pub(super) fn foreign(now: &Network, was: Option<&Network>) -> Vec<Item> {
    let nothing = Network::default();
    let mut items = Vec::new();
    for line in new_lines(now, was.unwrap_or(&nothing)) {
        if let Owner::Untold(why) = &line.owner {
            let rule = Subject::FirewallRule {
                program: line.program.clone(),
                table: line.table.clone(),
                rule: line.text.clone(),
            };
            items.push(Item::about("firewall-rule", rule, why.clone()));
        }
    }
    let new = now
        .sets
        .iter()
        .filter(|set| !is_own_set(set, now) && was.is_none_or(|was| !was.sets.contains(set)));
    let (overlay, others): (Vec<&String>, Vec<&String>) = new.partition(|set| *set == OVERLAY_SET);
    if !overlay.is_empty() {
        let why = "Mesos makes a set of that name for DC/OS' overlays, and others may: no rule of \
                   DC/OS uses this one";
        items.push(Item::about("ip-set", Subject::IpSet(OVERLAY_SET.to_owned()), why));
    }
    if was.is_some() && !others.is_empty() {
        let names: Vec<&str> = others.into_iter().map(String::as_str).collect();
        items.push(Item::new(
            "ip-set",
            names.join(", "),
            "new since the install, with a name that DC/OS does not give to a set",
        ));
    }
    items
}

/// Tables that nobody could look into. That they are there tells nothing: to list one makes it, and
/// DC/OS asks the program that does not show them.
pub(super) fn unseen(now: &Network) -> impl Iterator<Item = Item> {
    now.unseen.iter().map(|unseen| {
        let (program, first) =
            (&unseen.program, unseen.tables.first().map(String::as_str).unwrap_or_default());
        let why = format!(
            "they are of the older flavour of the packet filter, which the program here does not \
             show: install what brings {program} (the package iptables or iptables-legacy), then \
             {program} -t {first} -S shows what is in them"
        );
        Item::new(TABLE, format!("the tables {} of {program}", unseen.tables.join(", ")), why)
    })
}

/// The set of the overlays has a name that others may use: a rule of DC/OS tells.
fn is_own_set(set: &str, now: &Network) -> bool {
    SETS.contains(&set) || (set == OVERLAY_SET && now.firewall.iter().any(Line::uses_overlay_set))
}

fn new_lines<'a>(now: &'a Network, was: &'a Network) -> impl Iterator<Item = &'a Line> {
    now.firewall.iter().filter(|line| !was.firewall.iter().any(|known| known.is_same(line)))
}

fn chain(line: &Line) -> Option<Object> {
    match &line.owner {
        Owner::Chain(chain) => Some(Object::FirewallChain {
            program: line.program.clone(),
            table: line.table.clone(),
            chain: chain.clone(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::network::Unseen;

    fn node(sets: &[&str], lines: &[(&str, Owner)]) -> Network {
        let line = |(text, owner): &(&str, Owner)| Line {
            program: "iptables".into(),
            table: "nat".into(),
            text: (*text).to_owned(),
            owner: owner.clone(),
        };
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        Network { sets, firewall: lines.iter().map(line).collect(), ..Network::default() }
    }

    fn words(now: &Network, was: &Network) -> Vec<String> {
        objects(now, was).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn overlay_set_is_removed_after_the_rule_that_identifies_it() {
        let text = "-A POSTROUTING -s 9.0.0.0/8 -m set --match-set overlay dst -j MASQUERADE";
        let (bare, ours) = (node(&["overlay"], &[]), node(&["overlay"], &[(text, Owner::Rule)]));
        let empty = Network::default();
        assert_eq!(
            words(&ours, &empty),
            ["the ipset overlay".to_owned(), format!("the rule {text} (iptables -t nat)")]
        );
        assert_eq!(words(&bare, &empty), Vec::<String>::new());
        // It was an operator's before DC/OS used it: the rule goes alone.
        assert_eq!(words(&ours, &bare), [format!("the rule {text} (iptables -t nat)")]);
        let told = |now: &Network, was: Option<&Network>| {
            foreign(now, was).into_iter().map(|item| item.what).collect::<Vec<_>>()
        };
        assert_eq!(
            [told(&bare, Some(&empty)), told(&bare, None)],
            [["the ipset overlay"], ["the ipset overlay"]]
        );
        assert!(told(&ours, Some(&empty)).is_empty() && told(&bare, Some(&bare)).is_empty());
        let untold = node(&["overlay"], &[(text, Owner::Untold("why".into()))]);
        assert_eq!(
            told(&untold, None),
            [format!("{text} (iptables -t nat)"), "the ipset overlay".into()]
        );
    }

    #[test]
    fn new_sets_are_reported_once_and_earlier_ones_never() {
        let (now, was) = (node(&["a", "dcos-l4lb", "b", "c"], &[]), node(&["c"], &[]));
        assert_eq!(
            foreign(&now, Some(&was)).into_iter().map(|item| item.what).collect::<Vec<_>>(),
            ["a, b"]
        );
        assert_eq!(foreign(&now, None), []);
    }

    #[test]
    fn rule_recorded_by_an_older_program_counts_as_earlier() {
        let was = node(&[], &[("-N CNI-0a", Owner::Untold("why".into()))]);
        let now = node(&[], &[("-N CNI-0a", Owner::Chain("CNI-0a".into()))]);
        assert_eq!(words(&now, &was), Vec::<String>::new());
        assert_eq!(words(&now, &Network::default()), ["the chain CNI-0a (iptables -t nat)"]);
    }

    #[test]
    fn unreadable_table_is_reported_with_the_command_to_show_it() {
        let table = Unseen {
            program: "ip6tables-legacy".into(),
            tables: vec!["nat".into(), "filter".into()],
        };
        let told: Vec<Item> =
            unseen(&Network { unseen: vec![table], ..Network::default() }).collect();
        assert_eq!(
            (told.len(), told[0].what.as_str()),
            (1, "the tables nat, filter of ip6tables-legacy")
        );
        assert!(told[0].why.contains("ip6tables-legacy -t nat -S"), "{}", told[0].why);
    }
}
