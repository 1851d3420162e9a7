//! Services of the distribution that share the network with DC/OS, and what they are told to leave
//! alone.

use crate::dcos::layout;
use crate::system::root::Root;
use crate::system::systemd::Systemd;

/// Facts about services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The names of [`SERVICES`] that run.
    pub active: Vec<String>,
    /// What NetworkManager is told to leave alone (`unmanaged-devices`), as it is written.
    pub unmanaged: Vec<String>,
    /// Files of systemd-networkd that are read before DC/OS' own, with the interface names that
    /// they match.
    pub networkd: Vec<(String, Vec<String>)>,
}

/// The services that matter.
pub const SERVICES: [&str; 5] = [
    "dnsmasq.service",
    "firewalld.service",
    "NetworkManager.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
];

/// Asks systemd, and reads the configurations.
///
/// # Errors
/// systemd does not answer; in one line.
pub async fn look(root: &Root, systemd: &dyn Systemd) -> Result<Neighbours, String> {
    let names = SERVICES.map(str::to_owned);
    let units = systemd.units(&names).await.map_err(|e| e.to_string())?;
    let active = units
        .into_iter()
        .filter(|u| matches!(u.active.as_str(), "active" | "activating" | "reloading"))
        .map(|u| u.name);
    Ok(Neighbours {
        active: active.collect(),
        unmanaged: unmanaged(root),
        networkd: networkd(root),
    })
}

fn texts(root: &Root, directory: &str, ending: &str) -> Vec<(String, String)> {
    let names = root.names(directory).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| name.ends_with(ending))
        .filter_map(|name| Some((name.clone(), text(root, &format!("{directory}/{name}"))?)))
        .collect()
}

fn text(root: &Root, path: &str) -> Option<String> {
    root.text(path).ok().flatten()
}

/// The values of a key, which both services write as `Key=value` in sections.
fn values<'a>(text: &'a str, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let mut here = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with('[') {
            here = line == section;
        }
        let value = line.strip_prefix(key)?.trim_start();
        let value = value.strip_prefix("+=").or_else(|| value.strip_prefix('='))?;
        here.then(|| value.trim())
    })
}

fn unmanaged(root: &Root) -> Vec<String> {
    let parts = layout::NETWORK_MANAGER_MORE
        .iter()
        .flat_map(|directory| texts(root, directory, ".conf"))
        .map(|(_, text)| text);
    let all: Vec<String> = parts.chain(text(root, layout::NETWORK_MANAGER)).collect();
    let lists = all.iter().flat_map(|text| values(text, "[keyfile]", "unmanaged-devices"));
    lists
        .flat_map(|list| list.split([';', ',']))
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

fn networkd(root: &Root) -> Vec<(String, Vec<String>)> {
    let all = layout::NETWORKD.iter().flat_map(|directory| texts(root, directory, ".network"));
    let before = all.filter(|(name, _)| name.as_str() < "dcos.network");
    before
        .map(|(name, text)| {
            let matched = values(&text, "[Match]", "Name")
                .flat_map(str::split_ascii_whitespace)
                .map(str::to_owned)
                .collect();
            (name, matched)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::files;

    #[test]
    fn network_manager_and_networkd_settings_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        for (path, text) in [
            (
                "etc/NetworkManager/conf.d/x.conf",
                "[keyfile]\nunmanaged-devices=interface-name:docker*;interface-name:m-*\n",
            ),
            (
                "etc/NetworkManager/NetworkManager.conf",
                "[main]\nunmanaged-devices=none\n[keyfile]\nunmanaged-devices = mac:00:11\n",
            ),
            ("etc/systemd/network/00-all.network", "[Match]\nName=en* *\n\n[Network]\nDHCP=yes\n"),
            ("etc/systemd/network/zz.network", "[Match]\nName=*\n"),
        ] {
            let path = directory.path().join(path);
            files::make_directories(path.parent().unwrap(), 0o755).unwrap();
            files::place(&path, text.as_bytes(), 0o644, None).unwrap();
        }
        assert_eq!(unmanaged(&root), ["interface-name:docker*", "interface-name:m-*", "mac:00:11"]);
        assert_eq!(
            networkd(&root),
            [("00-all.network".to_owned(), vec!["en*".to_owned(), "*".to_owned()])]
        );
    }
}
