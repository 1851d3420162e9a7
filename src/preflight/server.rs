//! The bootstrap server, layer by layer. The first broken layer is the message; those behind it
//! were not reached.

use std::time::{Duration, SystemTime};

use super::Facts;
use super::clock::fault;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::bytes::Bytes;
use crate::dcos::moment::rfc3339;
use crate::dcos::node_places;
use crate::observe::server::{
    Artifacts, Connection, Layer, Network, Published, Server, Setting, Validity,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "bootstrap.proxy",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "no proxy between this node and the bootstrap server",
        why: "packages of hundreds of megabytes go through it, and what it caches or refuses is \
              taken for the server's",
        source: "ours; the variables are those of curl, which dcos_install.sh uses",
        cure: "add the bootstrap server to no_proxy, if this node reaches it without the proxy",
        look: proxy,
    },
    Rule {
        id: "bootstrap.name",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "the server's name has an address",
        why: "the packages come from there",
        source: "gen/dcos-services.yaml: dcos-download.service",
        cure: "look at the name in --bootstrap-url, at /etc/hosts and at the name servers in \
               /etc/resolv.conf",
        look: name,
    },
    Rule {
        id: "bootstrap.connect",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "a connection to the server",
        why: "the packages come from there",
        source: "gen/dcos-services.yaml: dcos-download.service",
        cure: "look at the port in --bootstrap-url, whether the server is up, and whether a \
               firewall lets this node reach it",
        look: connect,
    },
    Rule {
        id: "bootstrap.tls",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "a certificate that this node trusts",
        why: "without trust in the server nothing can be fetched from it",
        source: "ours",
        cure: "name the file with the certificate of its authority with --ca-file, and look at the \
               name in --bootstrap-url",
        look: tls,
    },
    Rule {
        id: "bootstrap.http",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "an answer to a request for bootstrap.latest",
        why: "it names the build",
        source: "gen/build_deploy/bash.py: dcos_install.sh and its bootstrap_url",
        cure: "--bootstrap-url must be where genconf/serve is served, with its port and path",
        look: http,
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
    Rule {
        id: "bootstrap.build",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "a DC/OS build that can be read",
        why: "the packages come from there",
        source: "gen/dcos-services.yaml: dcos-download.service",
        cure: "look at --bootstrap-url; if it is right, generate the build again on the bootstrap \
               machine",
        look: build,
    },
    Rule {
        id: "bootstrap.artifacts",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the bootstrap archive and every package, as long as the build index says",
        why: "one that is missing or was changed stops the install in the middle",
        source: "gen/dcos-services.yaml: dcos-download.service; pkgpanda/actions.py: fetch_package",
        cure: "copy genconf/serve to the server again, all of it",
        look: artifacts,
    },
    Rule {
        id: "bootstrap.index",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "the index is of the newest build that the server has",
        why: "after a build is generated again, nodes install the one that was published before",
        source: "ours: dcos-node publish",
        cure: "on the bootstrap server: dcos-node publish DIR, then take its dcos-node",
        look: index,
    },
];

/// What to do about a build that is provably not the published one.
pub const ANOTHER_BUILD: &str = "take the dcos-node that lies beside the build (if there is no \
                                 newer one, on the bootstrap server: dcos-node publish DIR), or \
                                 give the --bootstrap-url of the build that this one was \
                                 published for";

/// Why a server was asked nothing.
const NOT_NEEDED: &str = "everything that the build index names is on this node and verified; the \
                          server is not needed";

/// Largest skew that is no reason to worry, in seconds.
const MOST_SKEW: u64 = 5;

/// A layer of the network, judged by `judge`.
fn network(facts: &Facts<'_>, judge: impl FnOnce(&Network) -> Finding) -> Finding {
    match &facts.host.server {
        None => Finding::not_here("no --bootstrap-url given"),
        Some(Server { is_not_needed: true, .. }) => Finding::not_here(NOT_NEEDED),
        Some(Server { network: None, .. }) => Finding::not_here("the build lies in a directory"),
        Some(Server { network: Some(network), .. }) => judge(network),
    }
}

/// A layer: not reached, broken, or judged by `good`.
fn layer<T>(layer: &Layer<T>, good: impl FnOnce(&T, String) -> Finding) -> Finding {
    match layer {
        Layer::NotReached => Finding::not_here("not reached"),
        Layer::Reached { result: Err(why), took } => {
            Finding::bad(format!("{why} (after {})", time(*took)))
        }
        Layer::Reached { result: Ok(found), took } => good(found, time(*took)),
    }
}

fn time(took: Duration) -> String {
    match took.as_millis() {
        0 => "under 1 ms".to_owned(),
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", took.as_secs_f32()),
    }
}

/// Name and connection are those of the proxy where there is one.
fn of_whom(network: &Network) -> &'static str {
    if network.proxy.is_some() { "the proxy: " } else { "" }
}

fn proxy(facts: &Facts<'_>) -> Finding {
    caught(
        &facts.host.proxies,
        facts.host.server.as_ref().and_then(|server| server.network.as_ref()),
    )
}

fn caught(settings: &[Setting], network: Option<&Network>) -> Finding {
    if settings.is_empty() {
        return Finding::good("the environment names none");
    }
    let settings =
        settings.iter().map(|s| format!("{}={}", s.name, s.value)).collect::<Vec<_>>().join(" ");
    match network.map(|network| (&network.host, &network.proxy)) {
        None => Finding::good(settings),
        Some((host, None)) => Finding::good(format!("{settings}; {host} is reached without it")),
        Some((host, Some(proxy))) => Finding::bad(format!(
            "{settings}; requests to {host} go through {}:{}",
            proxy.host, proxy.port
        ))
        .cured_by(format!("if this node reaches {host} without the proxy: add {host} to no_proxy")),
    }
}

fn name(facts: &Facts<'_>) -> Finding {
    network(facts, |network| {
        layer(&network.name, |addresses, took| {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Finding::good(format!("{}{} ({took})", of_whom(network), list.join(", ")))
        })
    })
}

fn connect(facts: &Facts<'_>) -> Finding {
    network(facts, |network| {
        layer(&network.connect, |tried, _| connections(tried, of_whom(network)))
    })
}

fn connections(tried: &[Connection], of_whom: &str) -> Finding {
    let told = |c: &Connection| match &c.result {
        Ok(from) => format!("{} from {from} ({})", c.to, time(c.took)),
        Err(why) => format!("{} not: {why}", c.to),
    };
    let found = format!("{of_whom}{}", tried.iter().map(told).collect::<Vec<_>>().join("; "));
    if tried.iter().any(|c| c.result.is_err()) {
        return Finding::doubtful(found)
            .cured_by("take the addresses that do not answer out of the server's name");
    }
    Finding::good(found)
}

fn tls(facts: &Facts<'_>) -> Finding {
    network(facts, |network| match &network.dates {
        _ if !network.is_tls => Finding::not_here("http:// has none"),
        None => layer(&network.tls, |(), took| {
            Finding::good(format!("the certificate is trusted (handshake and first answer {took})"))
        }),
        Some((validity, now)) => refused_for_dates(*validity, *now, clock_fault(facts)),
    })
}

/// What is wrong with this node's own clock.
fn clock_fault(facts: &Facts<'_>) -> Option<String> {
    facts.host.time.clock.as_ref().ok().and_then(fault)
}

/// A certificate's dates are judged by our clock: if that is known to be wrong, it is the likely
/// cause.
fn refused_for_dates(validity: Validity, now: SystemTime, clock_fault: Option<String>) -> Finding {
    let dates = match validity {
        Validity::Ended(end) => format!("the server's certificate expired at {}", rfc3339(end)),
        Validity::NotBegun(begin) => {
            format!("the server's certificate is not valid before {}", rfc3339(begin))
        }
    };
    let found = format!("{dates}; this node's clock says {}", rfc3339(now));
    match clock_fault {
        Some(fault) => Finding::bad(format!("{found}, and is not to be trusted: {fault}"))
            .cured_by(
                "this node's clock is the likely cause: see time.sync first; if it is right, renew \
                 the server's certificate",
            ),
        None => Finding::bad(found).cured_by(
            "renew the server's certificate; this node's clock is \
                                              synchronised",
        ),
    }
}

fn http(facts: &Facts<'_>) -> Finding {
    network(facts, |network| {
        layer(&network.http, |_, took| Finding::good(format!("answered in {took}")))
    })
}

fn clock(facts: &Facts<'_>) -> Finding {
    network(facts, |network| match &network.http {
        Layer::Reached { result: Ok(skew), .. } => skewed(*skew, clock_fault(facts)),
        _ => Finding::not_here("not reached"),
    })
}

fn skewed(skew: Option<i64>, clock_fault: Option<String>) -> Finding {
    let found = match skew {
        None => return Finding::not_here("the server does not tell its time"),
        Some(0) => "the same".to_owned(),
        Some(ahead @ 1..) => format!("the server's is {ahead} s ahead"),
        Some(behind) => format!("the server's is {} s behind", behind.unsigned_abs()),
    };
    match clock_fault {
        _ if skew.is_none_or(|skew| skew.unsigned_abs() <= MOST_SKEW) => Finding::good(found),
        Some(_) => Finding::bad(found)
            .cured_by("this node's clock is not synchronised: see time.sync first"),
        None => Finding::bad(found).cured_by("this node's clock is synchronised: set the server's"),
    }
}

fn build(facts: &Facts<'_>) -> Finding {
    let Some(server) = &facts.host.server else {
        return Finding::not_here("no --bootstrap-url given");
    };
    if let (true, Layer::Reached { result: Ok(what), .. }) = (server.is_not_needed, &server.build) {
        return Finding::good(format!("{what}: {NOT_NEEDED}"));
    }
    let finding = layer(&server.build, |what, took| {
        match facts.build.map(|build| node_places::unusual(build, &[])).unwrap_or_default() {
            paths if paths.is_empty() => Finding::good(format!("{what} ({took})")),
            paths => Finding::doubtful(format!(
                "{what}; it would write where no release of DC/OS writes: {}",
                paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
            ))
            .cured_by("look at dcos_install.sh; install --allow-file PATH allows one of them"),
        }
    });
    if server.is_another { finding.cured_by(ANOTHER_BUILD) } else { finding }
}

fn artifacts(facts: &Facts<'_>) -> Finding {
    let Some(server) = &facts.host.server else {
        return Finding::not_here("no --bootstrap-url given");
    };
    if server.is_not_needed {
        return Finding::not_here(NOT_NEEDED);
    }
    layer(&server.artifacts, complete)
}

fn complete(artifacts: &Artifacts, took: String) -> Finding {
    let Artifacts { count, bytes, of_unknown_length, missing, changed, failed } = artifacts;
    let told = |list: &[String], are: &str| {
        (!list.is_empty()).then(|| format!("{} of {count} {are}: {}", list.len(), first(list)))
    };
    let wrong: Vec<String> =
        [told(missing, "are missing"), told(changed, "are not as long as published")]
            .into_iter()
            .flatten()
            .collect();
    if !wrong.is_empty() {
        let finding = Finding::bad(wrong.join("; "));
        return if changed.is_empty() { finding } else { finding.cured_by(COPY_OR_PUBLISH) };
    }
    if let [one, ..] = failed.as_slice() {
        return Finding::bad(format!(
            "{} of {count} could not be asked for, for example: {one}",
            failed.len()
        ))
        .cured_by("look at the server's log; it must give every file of genconf/serve");
    }
    let without = if *of_unknown_length > 0 {
        format!(" and {of_unknown_length} of unknown length")
    } else {
        String::new()
    };
    Finding::good(format!("{count} files, {}{without} ({took})", Bytes(*bytes)))
}

fn index(facts: &Facts<'_>) -> Finding {
    let is_not_needed = facts.host.server.as_ref().is_some_and(|server| server.is_not_needed);
    match facts.host.server.as_ref().map(|server| &server.published) {
        None => Finding::not_here("no --bootstrap-url given"),
        Some(Published::Unknown) if is_not_needed => Finding::not_here(NOT_NEEDED),
        Some(Published::Unknown) => Finding::not_here("not reached"),
        Some(Published::Classic) => {
            Finding::not_here("the build was not published, so it has no digests")
        }
        Some(Published::Newest) => Finding::good("published, and everything is verified"),
        Some(Published::Outdated(made)) => {
            Finding::bad(format!("the build was generated again after it was published: {made}"))
        }
    }
}

/// What to do about archives that were exchanged behind an index.
const COPY_OR_PUBLISH: &str = "copy all that was published to the server again; if the build was \
                               generated again: dcos-node publish DIR, then take its dcos-node";

/// The first few of a list, and how many more there are.
fn first(list: &[String]) -> String {
    let more = list.len().saturating_sub(5);
    let shown = list.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests;
