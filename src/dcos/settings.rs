//! What a build says about the cluster: the parts of dcos-config and dcos-metadata that checks and
//! reports need.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The members of a dcos-config package that [`Settings`] reads.
pub const CONFIG_MEMBERS: [&str; 10] = [
    "bin/detect_fault_domain",
    "bin/detect_ip",
    "bin/detect_ip6",
    "bin/detect_ip_public",
    "etc/check_time.env",
    "etc/dcos_net",
    "etc/dns_config",
    "etc/dns_search_config",
    "etc/master_list",
    "etc/proxy.env",
];
/// The member of a dcos-metadata package that says which release it is.
pub const VERSION_MEMBER: &str = "etc/dcos-version.json";

/// Cluster settings; what a build does not have is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The text of `bin/detect_ip`.
    pub detect_ip: Option<Vec<u8>>,
    /// The text of `bin/detect_ip_public`.
    pub detect_ip_public: Option<Vec<u8>>,
    /// The text of `bin/detect_ip6`.
    pub detect_ip6: Option<Vec<u8>>,
    /// The text of `bin/detect_fault_domain`.
    pub detect_fault_domain: Option<Vec<u8>>,
    /// The variables of `proxy.env`, in both cases; empty if the build uses no proxy.
    pub proxy: Vec<(String, String)>,
    /// `SEARCH` of `dns_search_config`.
    pub dns_search: Vec<String>,
    /// `ENABLE_CHECK_TIME` of `check_time.env`.
    pub check_time: Option<bool>,
    /// `DCOS_NET_IPV6` of `dcos_net` (`enable_ipv6` of the configuration); dcos-net takes none for
    /// true.
    pub ipv6: Option<bool>,
    /// `RESOLVERS` of `dns_config`.
    pub resolvers: Vec<String>,
    /// `master_list`, only with static discovery.
    pub masters: Option<Vec<String>>,
    /// `dcos-version.json`.
    pub version: Option<Version>,
}

/// Which DC/OS it is (`dcos-version.json` of the package dcos-metadata).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// For example `1.12.4`.
    pub version: String,
    /// The commit of the image.
    #[serde(rename = "dcos-image-commit", default, skip_serializing_if = "Option::is_none")]
    pub image_commit: Option<String>,
    /// `open` or `enterprise`.
    #[serde(rename = "dcos-variant", default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Version {
    /// Reads the text of a `dcos-version.json`.
    pub fn parse(text: &[u8]) -> Option<Version> {
        serde_json::from_slice(text).ok()
    }
}

impl Settings {
    /// Reads the members that `find` has; what cannot be read counts as not there.
    pub fn read(find: impl Fn(&str) -> Option<Vec<u8>>) -> Settings {
        let text = |member: &str| find(member).and_then(|bytes| String::from_utf8(bytes).ok());
        Settings {
            detect_ip: find("bin/detect_ip"),
            detect_ip_public: find("bin/detect_ip_public"),
            detect_ip6: find("bin/detect_ip6"),
            detect_fault_domain: find("bin/detect_fault_domain"),
            proxy: text("etc/proxy.env").map(|t| proxy(&t)).unwrap_or_default(),
            dns_search: text("etc/dns_search_config")
                .and_then(|t| variable(&t, "SEARCH"))
                .map(|v| v.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            check_time: text("etc/check_time.env")
                .and_then(|t| variable(&t, "ENABLE_CHECK_TIME").and_then(|v| v.parse().ok())),
            ipv6: text("etc/dcos_net")
                .and_then(|t| variable(&t, "DCOS_NET_IPV6").and_then(|v| v.parse().ok())),
            resolvers: text("etc/dns_config")
                .and_then(|t| {
                    variable(&t, "RESOLVERS").map(|v| {
                        v.split(',')
                            .map(|r| r.trim().to_owned())
                            .filter(|r| !r.is_empty())
                            .collect()
                    })
                })
                .unwrap_or_default(),
            masters: find("etc/master_list")
                .and_then(|t| serde_json::from_slice::<Value>(&t).ok())
                .and_then(|v| serde_json::from_value(v).ok()),
            version: find(VERSION_MEMBER).and_then(|t| Version::parse(&t)),
        }
    }
}

/// The variables of a `proxy.env` that are set, in both cases: some programs read the one, some the
/// other.
fn proxy(text: &str) -> Vec<(String, String)> {
    let names = ["http_proxy", "https_proxy", "no_proxy"]
        .into_iter()
        .flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    names
        .filter_map(|name| {
            variable(text, &name).filter(|value| !value.is_empty()).map(|value| (name, value))
        })
        .collect()
}

/// The value of one variable in the text of an environment file (`systemd.exec(5)`,
/// EnvironmentFile=).
pub fn variable(text: &str, name: &str) -> Option<String> {
    let line =
        text.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    let value = line.trim();
    let bare = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')));
    Some(bare.unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_settings_are_read_as_absent() {
        let settings = Settings::read(|member| match member {
            "etc/check_time.env" => Some(b"# x\nENABLE_CHECK_TIME=\"false\"\n".to_vec()),
            "etc/dns_config" => Some(
                b"MASTER_SOURCE=master_list\nRESOLVERS=192.0.2.1, \
                                       192.0.2.2:5353\n"
                    .to_vec(),
            ),
            "etc/dcos_net" => Some(b"DCOS_NET_WATCHDOG=true\nDCOS_NET_IPV6=false\n".to_vec()),
            "etc/master_list" => Some(br#"["10.0.0.1"]"#.to_vec()),
            "etc/dns_search_config" => Some(b"SEARCH=example.com corp.example\n".to_vec()),
            "etc/proxy.env" => Some(
                b"http_proxy=\"http://proxy:3128\"\n\
                  HTTP_PROXY=\"http://proxy:3128\"\nno_proxy=\"\"\n"
                    .to_vec(),
            ),
            _ => None,
        });
        assert_eq!(
            (settings.check_time, settings.resolvers.len(), settings.masters),
            (Some(false), 2, Some(vec!["10.0.0.1".to_owned()]))
        );
        assert_eq!(
            (settings.detect_ip, settings.version, settings.ipv6),
            (None, None, Some(false))
        );
        assert_eq!(settings.dns_search, ["example.com", "corp.example"]);
        let names: Vec<&str> = settings.proxy.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["http_proxy", "HTTP_PROXY"]);
    }
}
