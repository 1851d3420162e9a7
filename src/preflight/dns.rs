//! Name servers, names, and `/etc/resolv.conf`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::layout::RESOLV_CONF;
use crate::dcos::resolv_conf::{Keeper, ResolvConf};
use crate::observe::dns::{Lookup, Resolver};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "dns.resolvers",
        skippable: true,
        // DC/OS' own names need none of them, so that it starts without.
        severity: Severity::Warn,
        except: &[],
        expected: "every resolver of the build answers this node, over UDP and TCP, within 1 s",
        why: "DC/OS forwards to them whatever is not its own; one that is dead delays every \
              lookup, and without any no outside name resolves",
        source: "packages/dcos-net; etc/dns_config (RESOLVERS)",
        cure: "let the resolver be reached from this node on port 53, UDP and TCP, or correct \
               resolvers in genconf/config.yaml and generate the build again",
        look: resolvers,
    },
    Rule {
        id: "dns.resolver-addresses",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "addresses outside of 198.51.100.0/24",
        why: "DC/OS' own resolvers are there: a query would go round in a circle",
        source: "COPS-4616; gen/calc.py of DC/OS 2.2 refuses them",
        cure: "give the addresses of your own name servers as resolvers in genconf/config.yaml, \
               and generate the build again",
        look: resolver_addresses,
    },
    Rule {
        id: "dns.bootstrap",
        skippable: true,
        // Whether an install can work without is a question of the way to the server, proxies
        // included.
        severity: Severity::Warn,
        except: &[],
        expected: "the bootstrap server's name resolves, now and through the resolvers of the \
                   build",
        why: "packages are fetched from there, now and when they are repaired; DC/OS puts its \
              resolvers in place of this node's",
        source: "dcos-download.service, pkgpanda setup",
        cure: "add the name to your name servers or to /etc/hosts, or use --bootstrap-url with an \
               address",
        look: bootstrap,
    },
    Rule {
        id: "dns.hostname",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "the node's own name resolves to an address of this node",
        why: "Mesos and the tasks on it look up the name of the node that they run on",
        source: "DC/OS documentation, system requirements (hostname)",
        cure: "add the name with the node's address to your name servers or to /etc/hosts",
        look: hostname,
    },
    Rule {
        id: "dns.resolv-conf",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "a file at /etc/resolv.conf that can be read, or a link to one",
        why: "gen_resolvconf.py reads it before it writes it; otherwise it crashes, and \
              ready.spartan, which all units wait for, never resolves",
        source: "packages/dcos-net/extra/gen_resolvconf.py",
        cure: "write /etc/resolv.conf with the name servers of this node",
        look: resolv_conf,
    },
    Rule {
        id: "dns.writers",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "nobody but DC/OS writes /etc/resolv.conf",
        why: "DC/OS writes it anew every minute, and until then its names do not resolve",
        source: "dcos-gen-resolvconf.timer; DCOS-47608, COPS-6411, Azure/acs-engine#1067",
        cure: "let the other program leave /etc/resolv.conf alone",
        look: writers,
    },
    Rule {
        id: "dns.search",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "the build's dns_search has every domain that /etc/resolv.conf searches",
        why: "DC/OS writes its own search line, and short names in other domains stop resolving",
        source: "packages/dcos-net/extra/gen_resolvconf.py; etc/dns_search_config",
        cure: "add them to dns_search in genconf/config.yaml and generate the build again, if \
               anything on this node uses short names",
        look: search,
    },
];

/// `options timeout:1` of the resolv.conf that DC/OS writes.
const PROMPT: Duration = Duration::from_secs(1);

fn resolvers(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    let dns = &facts.host.dns;
    if dns.resolvers.is_empty() {
        return Finding::not_here("no build to take resolvers from");
    }
    let (right, wrong): (Vec<_>, Vec<_>) =
        dns.resolvers.iter().map(described).partition(|(fine, _)| *fine);
    let list = |described: &[(bool, String)]| {
        described.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ")
    };
    if wrong.is_empty() {
        return Finding::good(format!("asked for {}: {}", dns.asked, list(&right)));
    }
    let how_many = if right.is_empty() { "none of them works" } else { "not all of them work" };
    Finding::bad(format!("asked for {}, {how_many}: {}", dns.asked, list(&[wrong, right].concat())))
}

/// Whether a resolver is as it should be, and how it is.
fn described(resolver: &Resolver) -> (bool, String) {
    let text = &resolver.text;
    let Some((udp, tcp)) = &resolver.answers else {
        return (false, format!("{text} is no address"));
    };
    let milliseconds = udp.took.as_millis();
    let lost = if udp.retried { " at the second try" } else { "" };
    match (udp.reply.is_answer(), tcp.reply.is_answer()) {
        (true, true) if udp.took > PROMPT => {
            (false, format!("{text} {}, but only after {milliseconds} ms{lost}", udp.reply.words()))
        }
        (true, true) => {
            (!udp.retried, format!("{text} {} in {milliseconds} ms{lost}", udp.reply.words()))
        }
        (true, false) => (
            false,
            format!(
                "{text} {} in {milliseconds} ms over UDP{lost}, but {} over TCP",
                udp.reply.words(),
                tcp.reply.words()
            ),
        ),
        (false, true) => {
            (false, format!("{text} {} over UDP, though it does over TCP", udp.reply.words()))
        }
        (false, false) if udp.reply == tcp.reply => {
            (false, format!("{text} {}", udp.reply.words()))
        }
        (false, false) => (
            false,
            format!("{text} {} over UDP and {} over TCP", udp.reply.words(), tcp.reply.words()),
        ),
    }
}

fn resolver_addresses(facts: &Facts<'_>) -> Finding {
    let all = &facts.settings.resolvers;
    if all.is_empty() {
        return Finding::not_here("no build to take resolvers from");
    }
    let is_dcos = |address: IpAddr| {
        matches!(
            address,
            IpAddr::V4(a) if a.octets()[..3] == Ipv4Addr::new(198, 51, 100, 0).octets()[..3]
        )
    };
    let ip = |text: &str| {
        text.parse().ok().or_else(|| text.rsplit_once(':').and_then(|(ip, _)| ip.parse().ok()))
    };
    let wrong: Vec<&str> =
        all.iter().map(String::as_str).filter(|text| ip(text).is_some_and(is_dcos)).collect();
    if wrong.is_empty() {
        Finding::good(all.join(", "))
    } else {
        Finding::bad(format!("{} in 198.51.100.0/24", wrong.join(", ")))
    }
}

fn bootstrap(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    let dns = &facts.host.dns;
    let Some(Lookup { name, addresses, in_hosts }) = &dns.bootstrap else {
        return Finding::not_here("no server with a name");
    };
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => return Finding::bad(why),
    };
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let found = format!("{name} is {}", list.join(", "));
    let udp: Vec<_> = dns
        .resolvers
        .iter()
        .filter_map(|r| r.answers.as_ref())
        .map(|(udp, _)| &udp.reply)
        .filter(|r| r.is_answer())
        .collect();
    let unknown_to_all = !udp.is_empty() && udp.iter().all(|reply| reply.is_without_address());
    if dns.asked == *name && unknown_to_all && !in_hosts {
        return Finding::doubtful(format!(
            "{found}; but the resolvers of the build do not know it, and DC/OS will put them in \
             place of this node's"
        ))
        .cured_by(
            "add the name to /etc/hosts of this node, or give resolvers that know it in \
             genconf/config.yaml",
        );
    }
    Finding::good(found)
}

fn hostname(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    let Some(Lookup { name, addresses, .. }) = &facts.host.dns.hostname else {
        return Finding::unknown("the node's own name cannot be had");
    };
    match addresses {
        Err(why) => Finding::bad(why),
        Ok(addresses) => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let found = format!("{name} is {}", list.join(", "));
            let ours = |address: &IpAddr| {
                address.is_loopback() || facts.host.addresses.find(*address).is_some()
            };
            if addresses.iter().any(ours) {
                Finding::good(found)
            } else {
                Finding::bad(format!("{found}, which is no address of this node"))
            }
        }
    }
}

fn resolv_conf(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    let file = &facts.host.dns.resolv_conf;
    let text = match (&file.text, &file.link) {
        (Err(why), _) => return Finding::bad(why),
        (Ok(None), Some(link)) => {
            return Finding::bad(format!(
                "{RESOLV_CONF} is a link to {}, and nothing is there",
                link.display()
            ));
        }
        (Ok(None), None) => return Finding::bad(format!("there is no {RESOLV_CONF}")),
        (Ok(Some(text)), _) => text,
    };
    let servers = ResolvConf::parse(text).nameservers;
    let link = file
        .link
        .as_ref()
        .map(|link| format!(", a link to {}", link.display()))
        .unwrap_or_default();
    let keeper = file.keeper().map_or("", Keeper::words);
    let found = format!(
        "kept by {keeper}{link}; name servers {}",
        if servers.is_empty() { "none".into() } else { servers.join(", ") }
    );
    if servers.is_empty() { Finding::doubtful(found) } else { Finding::good(found) }
}

fn writers(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    let dns = &facts.host.dns;
    if dns.writers.is_empty() {
        return match dns.resolv_conf.keeper() {
            Some(Keeper::SystemdResolved) => Finding::good(
                "systemd-resolved, which leaves it alone once DC/OS has put a file there",
            ),
            _ => Finding::good("nobody that we know of"),
        };
    }
    let list: Vec<String> =
        dns.writers.iter().map(|w| format!("{} ({})", w.name, w.known_by)).collect();
    let cures: Vec<&str> = dns.writers.iter().map(|w| w.cure).collect();
    Finding::bad(list.join("; ")).cured_by(cures.join("; "))
}

fn search(facts: &Facts<'_>) -> Finding {
    if let Some(not_here) = elsewhere(facts) {
        return not_here;
    }
    if facts.settings.detect_ip.is_none() {
        return Finding::not_here("no build to compare with");
    }
    let file = &facts.host.dns.resolv_conf;
    let Ok(Some(text)) = &file.text else {
        return Finding::not_here("no /etc/resolv.conf to compare with");
    };
    if file.keeper() == Some(Keeper::Dcos) {
        return Finding::not_here("DC/OS wrote /etc/resolv.conf");
    }
    let plain = |domain: &str| domain.trim_end_matches('.').to_ascii_lowercase();
    let known: Vec<String> = facts.settings.dns_search.iter().map(|d| plain(d)).collect();
    let searched = ResolvConf::parse(text).search;
    // A lone dot is systemd-resolved's way to say that there are none.
    let lacking: Vec<&str> = searched
        .iter()
        .map(String::as_str)
        .filter(|d| !plain(d).is_empty() && !known.contains(&plain(d)))
        .collect();
    match (lacking.is_empty(), searched.is_empty()) {
        (false, _) => Finding::bad(format!("the build does not search {}", lacking.join(", "))),
        (true, true) => Finding::good("this node searches no domains"),
        (true, false) => Finding::good(searched.join(", ")),
    }
}

fn elsewhere(facts: &Facts<'_>) -> Option<Finding> {
    (!facts.live).then(|| Finding::not_here("the node is a directory"))
}
