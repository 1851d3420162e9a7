//! Name servers: those that the build names, what the node's own names resolve to, and who writes
//! `/etc/resolv.conf`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::dcos::layout;
use crate::dcos::resolv_conf::Keeper;
use crate::dcos::settings::Settings;
use crate::system::dns::{self, Answer, Patience, Question};
use crate::system::files::{self, FileKind};
use crate::system::resolver;
use crate::system::root::Root;
use crate::system::source::Source;
use crate::system::systemd::Systemd;

/// Facts about name servers; of a node that is a directory there are none.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    /// What the resolvers were asked for, in words.
    pub asked: String,
    /// Each resolver of the build.
    pub resolvers: Vec<Resolver>,
    /// The bootstrap server's name; none if it has none.
    pub bootstrap: Option<Lookup>,
    /// The node's own name; none if it cannot be had.
    pub hostname: Option<Lookup>,
    /// `/etc/resolv.conf`.
    pub resolv_conf: ResolvConfFile,
    /// Programs that write it besides DC/OS.
    pub writers: Vec<Writer>,
}

/// A resolver of the build's `dns_config`.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// As the build has it.
    pub text: String,
    /// How it answered, over UDP and over TCP; none if the text is no address.
    pub answers: Option<(Answer, Answer)>,
}

/// A name and what it resolves to.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The name.
    pub name: String,
    /// Its addresses, or why there are none.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// Whether `/etc/hosts` has it, so that no name server is needed.
    pub in_hosts: bool,
}

/// How `/etc/resolv.conf` stands.
#[derive(Clone, Debug)]
pub struct ResolvConfFile {
    /// Where it points, if it is a link.
    pub link: Option<PathBuf>,
    /// Its text, none if there is no such file, or why it cannot be read.
    pub text: Result<Option<String>, String>,
}

/// A program that writes `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Which.
    pub name: &'static str,
    /// By what that is known.
    pub known_by: String,
    /// How to make it leave the file alone.
    pub cure: &'static str,
}

/// DC/OS' own resolv.conf gives a server 1 s (`gen_resolvconf.py`: `options timeout:1`); we wait
/// longer, to tell slow from silent.
const PATIENCE: Patience = Patience { udp: Duration::from_secs(2), tcp: Duration::from_secs(3) };
/// For the lookup of one name, all servers and retries included.
const LOOKUP: Duration = Duration::from_secs(3);

impl Default for ResolvConfFile {
    fn default() -> Self {
        ResolvConfFile { link: None, text: Ok(None) }
    }
}

impl ResolvConfFile {
    /// Who keeps it, if there is anything to keep.
    pub fn keeper(&self) -> Option<Keeper> {
        let text = self.text.as_ref().ok()?.as_deref()?;
        Some(Keeper::of(self.link.as_ref().and_then(|l| l.to_str()), text))
    }
}

impl Dns {
    /// Looks at files and units; no server is asked.
    pub async fn look(root: &Root, systemd: &Result<Arc<dyn Systemd>, String>) -> Dns {
        Dns {
            resolv_conf: resolv_conf(root),
            writers: writers(root, systemd).await,
            ..Dns::default()
        }
    }

    /// Asks all servers at the same time; files and units are not looked at.
    pub async fn ask(root: &Root, settings: &Settings, source: Option<&Source>) -> Dns {
        let host = source.and_then(server_name);
        let own = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .filter(|name| !name.is_empty());
        let (question, asked) = question(host, own.as_deref());
        let resolvers = join_all(settings.resolvers.iter().map(|text| ask(text, &question)));
        let (resolvers, bootstrap, hostname) =
            tokio::join!(resolvers, lookup(root, host), lookup(root, own.as_deref()));
        Dns { asked, resolvers, bootstrap, hostname, ..Dns::default() }
    }
}

/// The name of a server that has one.
fn server_name(source: &Source) -> Option<&str> {
    match source {
        Source::Server { base, .. } => {
            Some(base.host()).filter(|host| host.parse::<IpAddr>().is_err())
        }
        Source::Directory(_) => None,
    }
}

/// The bootstrap host is what matters most; a short name of the node itself would only be looked
/// for at the root.
fn question(host: Option<&str>, own: Option<&str>) -> (Question, String) {
    match host.or(own).filter(|name| name.contains('.')) {
        Some(name) => (Question::Host(name.to_owned()), name.to_owned()),
        None => (Question::Root, "the root's name servers".to_owned()),
    }
}

async fn ask(text: &str, question: &Question) -> Resolver {
    let answers = match dns::address(text) {
        Some(server) => Some(tokio::join!(
            dns::ask_udp(server, question, PATIENCE),
            dns::ask_tcp(server, question, PATIENCE)
        )),
        None => None,
    };
    Resolver { text: text.to_owned(), answers }
}

async fn lookup(root: &Root, name: Option<&str>) -> Option<Lookup> {
    let name = name?;
    let hosts = text_of(root, layout::HOSTS).unwrap_or_default();
    let in_hosts = !resolver::addresses_in_hosts(hosts.as_bytes(), name).is_empty();
    let addresses = match tokio::time::timeout(LOOKUP, resolver::lookup(name)).await {
        Ok(found) => found.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no name server answered within {} s", LOOKUP.as_secs())),
    };
    Some(Lookup { name: name.to_owned(), addresses, in_hosts })
}

fn resolv_conf(root: &Root) -> ResolvConfFile {
    let link = match files::file_kind(&root.at(layout::RESOLV_CONF)) {
        Ok(Some(FileKind::Link { target })) => Some(target),
        _ => None,
    };
    ResolvConfFile { link, text: root.text(layout::RESOLV_CONF).map_err(|e| e.to_string()) }
}

async fn writers(root: &Root, systemd: &Result<Arc<dyn Systemd>, String>) -> Vec<Writer> {
    let names =
        ["NetworkManager.service", "dhcpcd.service", "wickedd.service", "netconfig.service"]
            .map(str::to_owned);
    let active: Vec<String> = match systemd {
        Ok(systemd) => {
            let units = systemd.units(&names).await.unwrap_or_default();
            units.into_iter().filter(|unit| unit.active == "active").map(|unit| unit.name).collect()
        }
        Err(_) => Vec::new(),
    };
    let runs = |unit: &str| active.iter().any(|name| name == unit);
    let mut writers = Vec::new();
    if runs("NetworkManager.service") && !network_manager_abstains(root) {
        writers.push(Writer {
            name: "NetworkManager",
            known_by: "NetworkManager.service runs, and its settings have no dns=none".into(),
            cure: "let NetworkManager leave it alone: dns=none in the section [main] of its \
                   settings",
        });
    }
    if let Some(sign) = layout::RESOLVCONF.iter().find(|path| files::exists(&root.at(path))) {
        writers.push(Writer {
            name: "resolvconf",
            known_by: format!("{sign} is there"),
            cure: "remove the package resolvconf or openresolv",
        });
    }
    if let Some(pid_file) = dhclient(root) {
        writers.push(Writer {
            name: "dhclient",
            known_by: format!(
                "{}/{pid_file} is there, and no hook redefines make_resolv_conf",
                layout::RUN
            ),
            cure: "give dhclient an enter hook with an empty function make_resolv_conf",
        });
    }
    for (unit, name, cure) in [
        ("dhcpcd.service", "dhcpcd", "add nohook resolv.conf to dhcpcd.conf"),
        (
            "wickedd.service",
            "netconfig",
            "set NETCONFIG_DNS_POLICY=\"\" in sysconfig/network/config",
        ),
    ] {
        if runs(unit) {
            writers.push(Writer { name, known_by: format!("{unit} runs"), cure });
        }
    }
    writers
}

/// Whether NetworkManager was told to leave the file alone.
fn network_manager_abstains(root: &Root) -> bool {
    let mut more: Vec<String> = Vec::new();
    for directory in layout::NETWORK_MANAGER_MORE {
        let names = root.names(directory).unwrap_or_default().into_iter();
        more.extend(names.filter(|n| n.ends_with(".conf")).map(|n| format!("{directory}/{n}")));
    }
    let paths = std::iter::once(layout::NETWORK_MANAGER.to_owned()).chain(more);
    let (mut dns, mut manager) = (None, None);
    for text in paths.filter_map(|path| text_of(root, &path)) {
        dns = main_setting(&text, "dns").or(dns);
        manager = main_setting(&text, "rc-manager").or(manager);
    }
    dns.as_deref() == Some("none") || manager.as_deref() == Some("unmanaged")
}

/// The last value of a key in the section `[main]`.
fn main_setting(text: &str, key: &str) -> Option<String> {
    let mut in_main = false;
    let mut value = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_main = line == "[main]";
        } else if let (true, Some((name, set))) = (in_main, line.split_once('='))
            && name.trim() == key
        {
            value = Some(set.trim().to_owned());
        }
    }
    value
}

/// The file with the number of a dhclient that writes resolver configurations.
fn dhclient(root: &Root) -> Option<String> {
    let names = root.names(layout::RUN).ok()?;
    let is_pid_file = |name: &String| name.starts_with("dhclient") && name.ends_with(".pid");
    let pid_file = names.into_iter().find(is_pid_file)?;
    let [directory, single] = layout::DHCLIENT_HOOKS;
    let hooks = root.names(directory).unwrap_or_default();
    let hooks = hooks.iter().map(|name| format!("{directory}/{name}")).chain([single.to_owned()]);
    let abstains =
        hooks.filter_map(|path| text_of(root, &path)).any(|text| text.contains("make_resolv_conf"));
    (!abstains).then_some(pid_file)
}

fn text_of(root: &Root, path: &str) -> Option<String> {
    root.text(path).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_main_section_of_network_manager_counts() {
        let text = "[device]\ndns=none\n[main]\n# dns=none\ndns = default\ndns=none\n";
        assert_eq!(main_setting(text, "dns").as_deref(), Some("none"));
        assert_eq!(main_setting("[device]\ndns=none\n", "dns"), None);
    }

    #[test]
    fn resolvers_are_asked_for_the_name_that_matters() {
        assert_eq!(question(Some("boot.example"), Some("node.example")).1, "boot.example");
        assert_eq!(question(None, Some("node.example")).1, "node.example");
        assert_eq!(question(None, Some("node")).0, Question::Root);
    }
}
