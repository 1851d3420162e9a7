//! Which rules, chains and sets of the packet filter are DC/OS' own. Only a comment, a chain or a
//! set of DC/OS tells; what has none of them cannot be told from an operator's.

use serde::{Deserialize, Serialize};

/// The tables that DC/OS writes to.
pub const TABLES: [&str; 2] = ["filter", "nat"];
/// Sets of addresses that its load balancer serves (`dcos_l4lb_ipset_mgr.erl`).
pub const SETS: [&str; 2] = ["dcos-l4lb", "dcos-l4lb-ipv6"];
/// The set of addresses beside the overlay networks, of Mesos' overlay module (`overlay/agent.cpp`,
/// `IPSET_OVERLAY`). Others may use the word too.
pub const OVERLAY_SET: &str = "overlay";
/// The chain of Mesos' port mapper (`mesos-cni-port-mapper`).
const CHAIN: &str = "UCR-DEFAULT-BRIDGE";
/// Comments of its rules: of `dcos-net.service`, and of `dcos_l4lb_ipset_mgr.erl`.
const COMMENTS: [&str; 2] = ["Minuteman-IPVS-IPTables-masquerade-rule", "Skip DC/OS L4LB traffic"];
/// Networks of CNI that every DC/OS has: that of `ucr-default-bridge.conf`, and the default
/// overlays.
const NETWORKS: [&str; 3] = ["mesos-bridge", "dcos", "dcos6"];
/// How the chains begin that the CNI plugins make, one for each container.
const CNI: &str = "CNI-";
/// How chains begin that DC/OS' networks cause and others too: of the CNI plugins, and of calico.
const SHARED_CHAINS: [(&str, &str); 2] =
    [(CNI, "a chain of the CNI plugins, which others use too"), ("cali-", "a chain of calico")];

/// Of the rule that accepts all that is forwarded.
const FORWARD: &str =
    "dcos-net.service makes such a rule, without a comment: it cannot be told from an operator's";
/// Of a rule in the form of those by which an overlay is masqueraded.
const MASQUERADE: &str =
    "Mesos makes such a rule for an overlay network, and this is for none that is known here";

/// The networks of containers that are DC/OS' own.
pub struct Networks<'a> {
    /// Their names, besides those that every DC/OS has.
    pub names: &'a [String],
    /// Whether an overlay has its addresses in this network.
    pub is_overlay: &'a dyn Fn(&str) -> bool,
}

impl Networks<'_> {
    /// The chains of the port mapper: of the default bridge, and of each overlay, in capitals after
    /// its bridge (`configureMesosNetwork`).
    fn has_chain(&self, chain: &str) -> bool {
        let is_of =
            |name: &str| chain.strip_prefix("M-").is_some_and(|rest| rest == name.to_uppercase());
        chain == CHAIN
            || NETWORKS.into_iter().chain(self.names.iter().map(String::as_str)).any(is_of)
    }

    /// The CNI plugins comment their rules with the network and the container, each in quotes.
    fn has_comment(&self, comment: &str) -> bool {
        let name = comment
            .strip_prefix("name: \"")
            .and_then(|rest| rest.split_once("\" id: "))
            .map(|(name, _)| name);
        name.is_some_and(|name| {
            NETWORKS.contains(&name) || self.names.iter().any(|known| known == name)
        })
    }

    /// A chain of the CNI plugins that no rule of another network stands in or leads to. One
    /// without any rule tells nothing.
    fn has_container(&self, chain: &str, table: &[Vec<String>]) -> bool {
        let concerns = |rule: &&Vec<String>| {
            rule.first().is_some_and(|word| word == "-A") && rule.iter().any(|word| word == chain)
        };
        let mut rules = table.iter().filter(concerns).peekable();
        chain.starts_with(CNI)
            && rules.peek().is_some()
            && rules.all(|rule| comments(rule).any(|comment| self.has_comment(comment)))
    }
}

/// One line of what `iptables -S` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `iptables` or `ip6tables`, with `-legacy` or `-nft` where that is what shows it.
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

/// Judges the lines of a table by their words, taken apart as the program quoted them; none for
/// what has nothing to do with DC/OS.
pub fn owners(table: &[Vec<String>], networks: &Networks<'_>) -> Vec<Option<Owner>> {
    table.iter().map(|line| owner(line, table, networks)).collect()
}

fn owner(line: &[String], table: &[Vec<String>], networks: &Networks<'_>) -> Option<Owner> {
    let texts: Vec<&str> = line.iter().map(String::as_str).collect();
    let follows = |option: &str, is_it: &dyn Fn(&str) -> bool| after(line, option).any(is_it);
    let is_own = |chain: &str| networks.has_chain(chain) || networks.has_container(chain, table);
    match texts.as_slice() {
        ["-N", chain] if is_own(chain) => Some(Owner::Chain((*chain).to_owned())),
        ["-N", chain] => SHARED_CHAINS
            .iter()
            .find(|(begin, _)| chain.starts_with(begin))
            .map(|(_, why)| Owner::Untold((*why).to_owned())),
        // It goes with its chain.
        ["-A", chain, ..] if is_own(chain) => None,
        ["-A", "FORWARD", "-j", "ACCEPT"] => Some(Owner::Untold(FORWARD.to_owned())),
        [
            "-A",
            "POSTROUTING",
            "-s",
            subnet,
            "-m",
            "set",
            "--match-set",
            OVERLAY_SET,
            "dst",
            "-j",
            "MASQUERADE",
        ] => Some(if (networks.is_overlay)(subnet) {
            Owner::Rule
        } else {
            Owner::Untold(MASQUERADE.to_owned())
        }),
        ["-A", ..] => {
            let commented = comments(line)
                .any(|comment| COMMENTS.contains(&comment) || networks.has_comment(comment));
            let matches = follows("--match-set", &|set| SETS.contains(&set));
            let leads = ["-j", "-g"]
                .iter()
                .any(|option| follows(option, &|chain| networks.has_chain(chain)));
            (commented || matches || leads).then_some(Owner::Rule)
        }
        _ => None,
    }
}

fn comments(line: &[String]) -> impl Iterator<Item = &str> {
    after(line, "--comment")
}

/// The words that follow an option.
fn after<'a>(line: &'a [String], option: &str) -> impl Iterator<Item = &'a str> {
    line.windows(2).filter_map(move |pair| {
        if let [first, value] = pair { (first == option).then_some(value.as_str()) } else { None }
    })
}

impl Line {
    /// The same line, whatever was thought of it.
    pub fn is_same(&self, other: &Line) -> bool {
        (&self.program, &self.table, &self.text) == (&other.program, &other.table, &other.text)
    }

    /// A rule of DC/OS that uses the set of its overlays.
    pub fn uses_overlay_set(&self) -> bool {
        self.owner == Owner::Rule && self.text.contains(&format!(" --match-set {OVERLAY_SET} "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESOS: &str = "name: \"mesos-bridge\" id: \"0a1b\"";
    const OTHER: &str = "name: \"cbr0\" id: \"0a1b\"";

    /// What a table is judged as, of which each line is written with `|` between its words.
    fn judged(table: &[&str]) -> Vec<Option<Owner>> {
        let table: Vec<Vec<String>> =
            table.iter().map(|line| line.split('|').map(str::to_owned).collect()).collect();
        let is_overlay = |network: &str| ["9.0.0.0/8", "12.0.0.0/8"].contains(&network);
        owners(&table, &Networks { names: &["Prod".to_owned()], is_overlay: &is_overlay })
    }

    fn is(line: &str, expected: fn(&Option<Owner>) -> bool) {
        let owner = judged(&[line]).remove(0);
        assert!(expected(&owner), "{line}: {owner:?}");
    }

    #[test]
    fn rule_is_of_dcos_only_by_comment_chain_or_set() {
        let ours = |owner: &Option<Owner>| *owner == Some(Owner::Rule);
        let other = |owner: &Option<Owner>| owner.is_none();
        let untold = |owner: &Option<Owner>| matches!(owner, Some(Owner::Untold(_)));
        is(
            "-A|POSTROUTING|-m|ipvs|--ipvs|-m|comment|--comment|Minuteman-IPVS-IPTables-masquerade-rule|-j|MASQUERADE",
            ours,
        );
        is(
            "-A|OUTPUT|-m|set|--match-set|dcos-l4lb|dst,dst|-m|comment|--comment|Skip DC/OS L4LB \
             traffic|-j|RETURN",
            ours,
        );
        is("-A|PREROUTING|-m|addrtype|--dst-type|LOCAL|-j|UCR-DEFAULT-BRIDGE", ours);
        is("-N|UCR-DEFAULT-BRIDGE", |owner| {
            *owner == Some(Owner::Chain("UCR-DEFAULT-BRIDGE".to_owned()))
        });
        is("-A|UCR-DEFAULT-BRIDGE|-p|tcp|-j|DNAT", other);
        is("-A|FORWARD|-j|ACCEPT", untold);
        is("-A|FORWARD|-j|ACCEPT|-m|comment|--comment|Skip DC/OS L4LB traffic (not)", other);
        is("-A|FORWARD|-i|docker0|-j|ACCEPT", other);
        is("-A|POSTROUTING|-m|comment|--comment|about -j UCR-DEFAULT-BRIDGE|-j|RETURN", other);
        is("-N|CNI-0123456789abcdef", untold);
        is("-N|DOCKER", other);
        is("-P|FORWARD|ACCEPT", other);
    }
    #[test]
    fn masquerade_rule_of_an_overlay_is_of_dcos_in_exact_form_only() {
        let ours = |owner: &Option<Owner>| *owner == Some(Owner::Rule);
        is("-A|POSTROUTING|-s|9.0.0.0/8|-m|set|--match-set|overlay|dst|-j|MASQUERADE", ours);
        is("-A|POSTROUTING|-s|12.0.0.0/8|-m|set|--match-set|overlay|dst|-j|MASQUERADE", ours);
        is("-A|POSTROUTING|-s|10.0.0.0/8|-m|set|--match-set|overlay|dst|-j|MASQUERADE", |owner| {
            matches!(owner, Some(Owner::Untold(_)))
        });
        is(
            "-A|POSTROUTING|-s|9.0.0.0/8|-m|set|--match-set|overlay|src|-j|MASQUERADE",
            Option::is_none,
        );
        is(
            "-A|POSTROUTING|-s|9.0.0.0/8|-o|eth0|-m|set|--match-set|overlay|dst|-j|MASQUERADE",
            Option::is_none,
        );
        is("-A|POSTROUTING|-s|9.0.0.0/8|-j|MASQUERADE", Option::is_none);
    }

    #[test]
    fn the_port_mapper_has_a_chain_for_each_overlay() {
        for chain in ["M-DCOS", "M-PROD"] {
            is(&format!("-N|{chain}"), |owner| matches!(owner, Some(Owner::Chain(_))));
            is(&format!("-A|OUTPUT|-m|addrtype|--dst-type|LOCAL|-j|{chain}"), |owner| {
                *owner == Some(Owner::Rule)
            });
            is(&format!("-A|{chain}|-p|tcp|-j|DNAT"), Option::is_none);
        }
        is("-N|M-OTHER", Option::is_none);
        is("-A|OUTPUT|-j|M-OTHER", Option::is_none);
    }

    #[test]
    fn container_rules_are_of_dcos_only_within_dcos_networks() {
        let (jump, chain, within) = (
            "-A|POSTROUTING|-s|172.31.254.2/32|-m|comment|--comment",
            "-N|CNI-0a",
            "-A|CNI-0a|-m|comment|--comment",
        );
        let of = |comment: &str| {
            [
                chain.to_owned(),
                format!("{jump}|{comment}|-j|CNI-0a"),
                format!("{within}|{comment}|-j|MASQUERADE"),
            ]
        };
        let judge =
            |lines: &[String]| judged(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let (own, rule) = (Some(Owner::Chain("CNI-0a".into())), Some(Owner::Rule));
        assert_eq!(judge(&of(MESOS)), [own.clone(), rule.clone(), None]);
        assert_eq!(judge(&of("name: \"Prod\" id: \"1\"")), [own.clone(), rule.clone(), None]);
        // One whose rule is gone, and one of which the rules in it are gone.
        assert_eq!(judge(&[&of(MESOS)[..1], &of(MESOS)[2..]].concat()), [own.clone(), None]);
        assert_eq!(judge(&of(MESOS)[..2]), [own, rule.clone()]);
        let untold = |owner: &Option<Owner>| matches!(owner, Some(Owner::Untold(_)));
        let others = judge(&of(OTHER));
        assert!(untold(&others[0]) && others[1..] == [None, None], "{others:?}");
        // A rule of another that leads there keeps the chain.
        let mixed = judge(&[of(MESOS).to_vec(), vec!["-A|OUTPUT|-j|CNI-0a".to_owned()]].concat());
        assert!(untold(&mixed[0]) && mixed[1..] == [rule.clone(), rule, None], "{mixed:?}");
        for comment in [
            "name: \"mesos-bridge2\" id: \"1\"",
            "about name: \"mesos-bridge\" id: \"1\"",
            "name: \"mesos-bridge\"",
        ] {
            assert_eq!(judged(&[&format!("{jump}|{comment}|-j|RETURN")]), [None], "{comment}");
        }
    }
}
