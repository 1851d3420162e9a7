//! Which rules, chains and sets of the packet filter are DC/OS' own. Only a comment, a chain or a set of DC/OS tells; what has none of them
//! cannot be told from an operator's.

use serde::{Deserialize, Serialize};

/// The tables that DC/OS writes to.
pub const TABLES: [&str; 2] = ["filter", "nat"];
/// Sets of addresses that its load balancer serves (`dcos_l4lb_ipset_mgr.erl`).
pub const SETS: [&str; 2] = ["dcos-l4lb", "dcos-l4lb-ipv6"];
/// The chain of Mesos' port mapper (`mesos-cni-port-mapper`).
const CHAIN: &str = "UCR-DEFAULT-BRIDGE";
/// Comments of its rules: of `dcos-net.service`, and of `dcos_l4lb_ipset_mgr.erl`.
const COMMENTS: [&str; 2] = ["Minuteman-IPVS-IPTables-masquerade-rule", "Skip DC/OS L4LB traffic"];
/// How chains begin that DC/OS' networks cause and others too: of the CNI plugins, and of calico.
const SHARED_CHAINS: [(&str, &str); 2] = [("CNI-", "a chain of the CNI plugins, which others use too"), ("cali-", "a chain of calico")];

/// Of the rule that accepts all that is forwarded.
const FORWARD: &str = "dcos-net.service makes such a rule, without a comment: it cannot be told from an operator's";

/// One line of what `iptables -S` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `iptables` or `ip6tables`.
    pub program: String,
    /// One of [`TABLES`].
    pub table: String,
    /// As printed.
    pub text: String,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A rule with DC/OS' own comment, chain or set.
    Rule,
    /// A chain of DC/OS.
    Chain(String),
    /// Perhaps of DC/OS, perhaps not: why that cannot be told.
    Untold(String),
}

/// Judges a line by its words, taken apart as the program quoted them; none if it has nothing to do with DC/OS.
pub fn owner(words: &[String]) -> Option<Owner> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let follows = |option: &str, value: &str| texts.windows(2).any(|pair| pair == [option, value]);
    match texts.as_slice() {
        ["-N", chain] if *chain == CHAIN => Some(Owner::Chain(CHAIN.to_owned())),
        ["-N", chain] => SHARED_CHAINS.iter().find(|(begin, _)| chain.starts_with(begin)).map(|(_, why)| Owner::Untold((*why).to_owned())),
        // It goes with its chain.
        ["-A", chain, ..] if *chain == CHAIN => None,
        ["-A", "FORWARD", "-j", "ACCEPT"] => Some(Owner::Untold(FORWARD.to_owned())),
        ["-A", ..] => {
            let commented = COMMENTS.iter().any(|comment| follows("--comment", comment));
            let matches = SETS.iter().any(|set| follows("--match-set", set));
            let leads = ["-j", "-g"].iter().any(|option| follows(option, CHAIN));
            (commented || matches || leads).then_some(Owner::Rule)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(line: &str, expected: fn(&Option<Owner>) -> bool) {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        let owner = owner(&words);
        assert!(expected(&owner), "{line}: {owner:?}");
    }

    #[test]
    fn only_a_comment_a_chain_or_a_set_of_dcos_makes_a_rule_its_own() {
        let ours = |owner: &Option<Owner>| *owner == Some(Owner::Rule);
        let other = |owner: &Option<Owner>| owner.is_none();
        let untold = |owner: &Option<Owner>| matches!(owner, Some(Owner::Untold(_)));
        is("-A|POSTROUTING|-m|ipvs|--ipvs|-m|comment|--comment|Minuteman-IPVS-IPTables-masquerade-rule|-j|MASQUERADE", ours);
        is("-A|OUTPUT|-m|set|--match-set|dcos-l4lb|dst,dst|-m|comment|--comment|Skip DC/OS L4LB traffic|-j|RETURN", ours);
        is("-A|PREROUTING|-m|addrtype|--dst-type|LOCAL|-j|UCR-DEFAULT-BRIDGE", ours);
        is("-N|UCR-DEFAULT-BRIDGE", |owner| *owner == Some(Owner::Chain("UCR-DEFAULT-BRIDGE".to_owned())));
        is("-A|UCR-DEFAULT-BRIDGE|-p|tcp|-j|DNAT", other);
        is("-A|FORWARD|-j|ACCEPT", untold);
        is("-A|FORWARD|-j|ACCEPT|-m|comment|--comment|Skip DC/OS L4LB traffic (not)", other);
        is("-A|FORWARD|-i|docker0|-j|ACCEPT", other);
        is("-A|POSTROUTING|-m|comment|--comment|about -j UCR-DEFAULT-BRIDGE|-j|RETURN", other);
        is("-N|CNI-0123456789abcdef", untold);
        is("-N|DOCKER", other);
        is("-P|FORWARD|ACCEPT", other);
    }
}
