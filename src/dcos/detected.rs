//! What the cluster's detection scripts may print: addresses and a fault domain, read as strictly
//! as the strictest of DC/OS' readers does.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use super::layout;

/// How much of a wrong output is repeated in a message.
const SHOWN: usize = 60;

/// Exactly one IPv4 address and at most one newline after it (`dcos-net-env`,
/// `inet:parse_ipv4strict_address`).
///
/// # Errors
/// What is wrong with the output, in words that follow "it printed".
pub fn ipv4(stdout: &[u8]) -> Result<Ipv4Addr, String> {
    address(stdout, "IPv4")
}

/// The same for IPv6, without a zone.
///
/// # Errors
/// What is wrong with the output, in words that follow "it printed".
pub fn ipv6(stdout: &[u8]) -> Result<Ipv6Addr, String> {
    address(stdout, "IPv6")
}

fn address<A: FromStr>(stdout: &[u8], family: &str) -> Result<A, String> {
    let line = one_line(stdout)?;
    // The last field of `ip route get` was the address once; today it is a number.
    let is_number = !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit());
    let field = if is_number {
        " but a bare number (ip route get has the address after src, and a number after uid)"
    } else {
        ""
    };
    line.parse()
        .map_err(|_| format!("{}, which is not exactly one {family} address{field}", shown(line)))
}

/// An address or a host name: what clients outside of the cluster reach the node at.
///
/// # Errors
/// What is wrong with the output, in words that follow "it printed".
pub fn address_or_name(stdout: &[u8]) -> Result<String, String> {
    let line = one_line(stdout)?;
    if line.parse::<Ipv4Addr>().is_ok() {
        return Ok(line.to_owned());
    }
    let label = |l: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&l.len())
            && l.chars().all(inner)
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    // A name whose last label is a number is read as an address by others, and this one is none.
    let numeric = line.rsplit('.').next().is_some_and(|l| l.chars().all(|c| c.is_ascii_digit()));
    let is_name = line.len() <= 253 && !numeric && line.split('.').all(label);
    is_name
        .then(|| line.to_owned())
        .ok_or_else(|| format!("{}, which is neither an IPv4 address nor a host name", shown(line)))
}

/// Region and zone of `{"fault_domain":{"region":{"name":..},"zone":{"name":..}}}` (Mesos'
/// `DomainInfo`).
///
/// # Errors
/// What is wrong with the output, naming the field at fault, in words that follow "it printed".
pub fn fault_domain(stdout: &[u8]) -> Result<(String, String), String> {
    if stdout.trim_ascii().is_empty() {
        return Err("nothing".into());
    }
    let value: Value = serde_json::from_slice(stdout).map_err(|e| {
        format!("{}, which is not JSON: {e}", shown(&String::from_utf8_lossy(stdout)))
    })?;
    let name = |part: &str| {
        let mut here = &value;
        let mut path = String::new();
        for key in ["fault_domain", part, "name"] {
            path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            here = here.get(key).ok_or_else(|| format!("JSON without the field {path}"))?;
        }
        match here {
            Value::String(name) if !name.is_empty() => Ok(name.clone()),
            other => Err(format!("JSON whose field {path} is {other} and not a name")),
        }
    };
    Ok((name("region")?, name("zone")?))
}

/// Whether the first line of a script names a shell: DC/OS' programs in Go run `/bin/bash
/// detect_ip`, whatever it names (`dcos-go`, nodeutil).
pub fn is_for_a_shell(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words = line.trim_start_matches("#!").split_whitespace();
    words
        .filter(|w| !w.starts_with('-'))
        .any(|w| matches!(w.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ksh" | "ash")))
}

/// The one line of an output, without its newline.
fn one_line(stdout: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(stdout)
        .map_err(|e| format!("bytes that are not UTF-8, from byte {} on", e.valid_up_to() + 1))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let count = line.lines().count();
    let wrong = if text.is_empty() {
        return Err("nothing".into());
    } else if text.trim().is_empty() {
        return Err("only white space".into());
    } else if text.starts_with('\u{feff}') {
        "a byte order mark before the address"
    } else if line.contains('\r') {
        "a carriage return (CRLF line ends?)"
    } else if line.trim_end_matches('\n').contains('\n') {
        return Err(format!("{count} lines: {}", shown(text)));
    } else if line.ends_with('\n') {
        "empty lines after the address"
    } else if line.ends_with([' ', '\t']) {
        "white space after the address"
    } else if line.starts_with([' ', '\t']) {
        "white space before the address"
    } else {
        return Ok(line);
    };
    Err(format!("{wrong}: {}", shown(text)))
}

/// The beginning of a text in quotes, with control characters made visible.
fn shown(text: &str) -> String {
    let mut beginning: String = text.chars().take(SHOWN).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("{beginning:?}")
}

/// Where an address leads, if that is nowhere that other nodes could reach.
pub fn unreachable(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match address {
        _ if address.is_unspecified() => Some("is no address of any host"),
        _ if a == 0 => Some("is in 0.0.0.0/8, which is no network"),
        _ if address.is_loopback() => Some("is a loopback address: every node would mean itself"),
        _ if address.is_link_local() => Some("is a link-local address, which is not routed"),
        _ if address.is_multicast() => Some("is a multicast address"),
        _ if address.is_broadcast() || a >= 240 => Some("is no address of a host"),
        _ if (a, b, c) == (198, 51, 100) => {
            Some("is in 198.51.100.0/24, where DC/OS has its own resolvers")
        }
        _ => None,
    }
}

/// What programs write to standard error when the kernel refuses something to a confined script
/// that DC/OS' units may do, in the order of how much it says.
const REFUSALS: [&str; 10] = [
    "Address family not supported by protocol",
    "Read-only file system",
    "Operation not permitted",
    "Function not implemented",
    "Permission denied",
    "No space left on device",
    "Bad system call",
    "Failed to connect to bus",
    "Cannot connect to the Docker daemon",
    "must be root",
];
/// Programs that ask a service of the machine over a local socket, or need a capability.
const BEYOND: [&str; 34] = [
    "arping",
    "busctl",
    "crictl",
    "ctr",
    "dmidecode",
    "docker",
    "hostnamectl",
    "ipmitool",
    "ipset",
    "iptables",
    "journalctl",
    "kubectl",
    "lldpcli",
    "lldpctl",
    "logger",
    "loginctl",
    "modprobe",
    "mount",
    "networkctl",
    "nft",
    "nmcli",
    "nsenter",
    "ping",
    "podman",
    "resolvectl",
    "runuser",
    "sudo",
    "systemctl",
    "systemd-run",
    "tcpdump",
    "timedatectl",
    "umount",
    "unshare",
    "vmware-rpctool",
];

/// The refusal that a script's complaint names, if it names one.
pub fn refusal(stderr: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(stderr).to_lowercase();
    REFUSALS.into_iter().find(|refusal| text.contains(&refusal.to_lowercase()))
}

/// The first program that a script names outside of comments, and that a confined one cannot use.
pub fn uses_beyond_confinement(script: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(script);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| !is_part(c)))
        .find_map(|word| BEYOND.into_iter().find(|program| *program == word))
}

/// Programs that DC/OS' packages bring, by the names that scripts call them by.
const OF_PACKAGES: [&str; 14] = [
    "curl",
    "dcos-check-runner",
    "dcos-checks",
    "dcos-diagnostics",
    "dcos-shell",
    "detect_fault_domain",
    "detect_ip",
    "detect_ip6",
    "detect_ip_public",
    "java",
    "openssl",
    "pkgpanda",
    "python",
    "python3",
];

/// What a script names outside of comments, its interpreter included, that DC/OS' packages bring or
/// may bring: paths below [`layout::MESOSPHERE`] and names of programs.
pub fn programs_of_packages(script: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(script);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let mut lines = text.lines();
    let interpreter = lines.next().and_then(|line| line.strip_prefix("#!"));
    let code = lines.filter(|line| !line.trim_start().starts_with('#'));
    interpreter
        .into_iter()
        .chain(code)
        .flat_map(|line| line.split(|c: char| !is_part(c)))
        .filter(|word| {
            Path::new(word).starts_with(layout::MESOSPHERE) || OF_PACKAGES.contains(word)
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_address_is_read_and_everything_else_is_named() {
        for good in ["192.0.2.7", "192.0.2.7\n"] {
            assert_eq!(ipv4(good.as_bytes()), Ok(Ipv4Addr::new(192, 0, 2, 7)));
        }
        for (bad, word) in [
            (&b""[..], "nothing"),
            (b"\n", "white space"),
            (b"192.0.2.7\r\n", "CRLF"),
            (b"192.0.2.7 \n", "after the address"),
            (b" 192.0.2.7\n", "before the address"),
            (b"192.0.2.7\n\n", "empty lines"),
            (b"192.0.2.7\n192.0.2.8\n", "2 lines"),
            (b"192.0.2.7 192.0.2.8", "not exactly one"),
            (b"192.0.2", "not exactly one"),
            (b"192.0.2.300", "not exactly one"),
            (b"192.0.02.7", "not exactly one"),
            (b"0\n", "\"0\""),
            (b"2001:db8::1\n", "not exactly one IPv4"),
            (b"\xef\xbb\xbf192.0.2.7\n", "byte order mark"),
            (b"\xff\n", "UTF-8"),
        ] {
            let why = ipv4(bad).unwrap_err();
            assert!(why.contains(word), "{bad:?}: {why}");
        }
        assert!(ipv6(b"2001:db8::1\n").is_ok());
        assert!(ipv6(b"fe80::1%eth0\n").unwrap_err().contains("IPv6"));
    }

    #[test]
    fn a_public_address_may_be_a_name() {
        for good in ["192.0.2.7\n", "node-1.example.com\n", "node"] {
            assert!(address_or_name(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "192.0.2.300\n", "-a.example\n", "<html>\n", "a..b\n"] {
            assert!(address_or_name(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_domain_names_the_field_at_fault() {
        let good = br#"{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}}"#;
        assert_eq!(fault_domain(good), Ok(("r".into(), "z".into())));
        for (bad, word) in [
            ("", "nothing"),
            ("region", "not JSON"),
            ("{}", "without the field fault_domain"),
            (r#"{"fault_domain":{"zone":{"name":"z"}}}"#, "without the field fault_domain.region"),
            (
                r#"{"fault_domain":{"region":{"name":"r"},"zone":{}}}"#,
                "without the field fault_domain.zone.name",
            ),
            (
                r#"{"fault_domain":{"region":{"name":"r"},"zone":{"name":7}}}"#,
                "fault_domain.zone.name is 7",
            ),
            (
                r#"{"fault_domain":{"region":{"name":""},"zone":{"name":"z"}}}"#,
                "fault_domain.region.name",
            ),
        ] {
            let why = fault_domain(bad.as_bytes()).unwrap_err();
            assert!(why.contains(word), "{bad}: {why}");
        }
    }

    #[test]
    fn script_for_a_non_shell_interpreter_is_recognised() {
        for shell in ["#!/bin/sh\n", "#!/bin/bash -e\n", "#!/usr/bin/env bash\n", "#! /bin/sh\n"] {
            assert!(is_for_a_shell(shell.as_bytes()), "{shell}");
        }
        for other in
            ["#!/usr/bin/env python3\n", "#!/opt/mesosphere/bin/python\n", "#!/usr/bin/perl\n"]
        {
            assert!(!is_for_a_shell(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn unreachable_address_kinds_are_distinguished() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.1.1",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.51.100.1",
        ] {
            assert!(unreachable(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in ["10.0.0.1", "192.168.1.1", "192.0.2.1", "100.64.0.1"] {
            assert!(unreachable(good.parse().unwrap()).is_none(), "{good}");
        }
    }

    #[test]
    fn refusal_is_found_in_complaints_of_programs() {
        let refused = |text: &str| refusal(text.as_bytes());
        assert_eq!(
            refused("Failed to connect to bus: Address family not supported by protocol"),
            Some("Address family not supported by protocol")
        );
        assert_eq!(
            refused("PermissionError: [Errno 1] Operation not permitted: '/x'"),
            Some("Operation not permitted")
        );
        assert_eq!(refused("curl: (7) Failed to connect: Connection refused"), None);
    }

    #[test]
    fn programs_of_packages_are_paths_and_names_in_code() {
        let script = "#!/opt/mesosphere/bin/python3\n# java\n/opt/mesosphere/bin/x --a \
                      $(detect_ip) my-java /usr/bin/curl\n";
        assert_eq!(
            programs_of_packages(script.as_bytes()),
            ["/opt/mesosphere/bin/python3", "/opt/mesosphere/bin/x", "detect_ip"]
        );
    }

    #[test]
    fn program_beyond_confinement_is_a_whole_word_of_code() {
        let used = |text: &str| uses_beyond_confinement(text.as_bytes());
        assert_eq!(used("#!/bin/sh\n/usr/bin/docker inspect x | head"), Some("docker"));
        assert_eq!(used("#!/bin/sh\n  # docker\nip addr; cat /etc/docker.conf my-docker"), None);
    }
}
