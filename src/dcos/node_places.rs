//! Where the files go that `dcos_install.sh` writes on every node (`gen/build_deploy/bash.py`,
//! `gen/cloud-config.yaml`, `gen/dcos-services.yaml`; the same places from 1.10 to 2.2).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::build::Build;
use super::installer_script::{NodeFile, link_of};
use super::layout;

/// How the names of certificates end.
const CERTIFICATES: [&str; 4] = ["pem", "crt", "cer", "cert"];

/// The paths that a build would write and no release of DC/OS writes, without those that the
/// operator allows.
pub fn unusual(build: &Build, allowed: &[PathBuf]) -> Vec<PathBuf> {
    let files = build.node_files.iter();
    let strange = files.clone().filter(|file| !is_usual(file)).map(|file| file.path.clone());
    let links = files.filter_map(|file| link_of(&file.content)).filter_map(|(link, source)| {
        let is_usual = link.parent() == Some(Path::new(layout::PROFILES))
            && source.starts_with(layout::MESOSPHERE);
        (!is_usual).then_some(link)
    });
    let mut paths: Vec<PathBuf> =
        strange.chain(links).filter(|path| !allowed.contains(path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn is_usual(file: &NodeFile) -> bool {
    let path = file.path.as_path();
    if file.mode > 0o777 {
        return false;
    }
    // The role is the operator's word.
    let is_fixed = (path.starts_with(layout::ETC_MESOSPHERE) && !path.starts_with(layout::ROLES))
        || layout::NODE_FILES.iter().any(|fixed| path == Path::new(fixed));
    let is_of_others = layout::OF_OTHER_PROGRAMS.iter().any(|place| path.starts_with(place));
    is_fixed || (!is_of_others && (is_certificate(file) || is_credentials(file)))
}

/// The CA certificate of Exhibitor, and nothing besides it; from 2.0 on its path is in the
/// configuration (`exhibitor_ca_certificate_path`).
fn is_certificate(file: &NodeFile) -> bool {
    let extension = file.path.extension().and_then(|extension| extension.to_str());
    let mut inside = false;
    let only_blocks = file.content.lines().map(str::trim).all(|line| match line {
        "-----BEGIN CERTIFICATE-----" if !inside => {
            inside = true;
            true
        }
        "-----END CERTIFICATE-----" if inside => {
            inside = false;
            true
        }
        "" => true,
        text => inside && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c)),
    });
    extension.is_some_and(|extension| CERTIFICATES.contains(&extension))
        && only_blocks
        && !inside
        && file.content.contains("-----END CERTIFICATE-----")
}

/// Credentials for docker registries, and nothing besides them; their path follows from the
/// configuration (`cluster_docker_credentials`).
fn is_credentials(file: &NodeFile) -> bool {
    let value: Option<Value> = serde_json::from_str(&file.content).ok();
    let object = value.as_ref().and_then(Value::as_object);
    object.is_some_and(|object| {
        !object.is_empty()
            && object.keys().all(|key| {
                ["auths", "credsStore", "credHelpers", "HttpHeaders"].contains(&key.as_str())
            })
            && object.contains_key("auths")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n";

    fn is_usual(path: &str, mode: u32, content: &str) -> bool {
        super::is_usual(&NodeFile { path: path.into(), mode, content: content.to_owned() })
    }

    #[test]
    fn places_of_every_release_are_usual_and_no_others() {
        for path in [
            layout::REPOSITORY_URL,
            "/etc/mesosphere/docker_credentials",
            "/etc/systemd/journald.conf.d/dcos.conf",
            "/etc/rexray/config.yml",
            "/etc/systemd/system/dcos-setup.service",
        ] {
            assert!(is_usual(path, 0o600, "x"), "{path}");
        }
        for path in [
            "/etc/cron.d/x",
            "/root/.ssh/authorized_keys",
            "/etc/systemd/system/evil.service",
            "/etc/systemd/journald.conf.d/other.conf",
            "/etc/mesosphere/roles/master",
            "/etc/mesosphere-other/x",
        ] {
            assert!(!is_usual(path, 0o644, "x"), "{path}");
        }
        assert!(!is_usual("/etc/mesosphere/x", 0o4755, "x"));
    }

    #[test]
    fn configured_paths_are_usual_for_what_belongs_there_only() {
        assert!(is_usual("/tmp/root-cert.pem", 0o644, CERTIFICATE));
        assert!(is_usual("/srv/exhibitor/ca.crt", 0o644, CERTIFICATE));
        assert!(is_usual("/srv/docker/config.json", 0o600, r#"{"auths": {"r": {"auth": "x"}}}"#));
        for (path, content) in [
            ("/etc/cron.d/ca.pem", "* * * * * root x\n"),
            ("/tmp/root-cert.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
            ("/tmp/root-cert.pem", ""),
            ("/etc/ld.so.preload", CERTIFICATE),
            ("/etc/ssl/certs/ca.pem", CERTIFICATE),
            ("/usr/share/ca.pem", CERTIFICATE),
            ("/srv/docker/config.json", r#"{"auths": {}, "run": "x"}"#),
            ("/etc/docker/daemon.json", r#"{"hosts": []}"#),
        ] {
            assert!(!is_usual(path, 0o644, content), "{path}: {content}");
        }
    }
}
