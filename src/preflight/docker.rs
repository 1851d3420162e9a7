//! The docker daemon.

use super::rule::{Finding, Rule, Severity};
use super::{Facts, storage};
use crate::observe::docker::Engine;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "docker.reachable",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "docker answers on /var/run/docker.sock",
        why: "all nodes need it, masters too: the classic script refuses without a running docker",
        source: "gen/build_deploy/bash.py: check docker 1.6, check_docker_running; docs: docker on \
                 all nodes",
        cure: "install docker, and systemctl enable --now docker",
        look: reachable,
    },
    Rule {
        id: "docker.version",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "1.6 or newer, and none that is known to be bad",
        why: "older ones lack what Mesos asks of them",
        source: "gen/build_deploy/bash.py: check docker 1.6; advisory MSPH-2018-0006",
        cure: "update docker: 18.09.9 and 19.03.5 are those that DC/OS 2.x was tested with",
        look: version,
    },
    Rule {
        id: "docker.storage-driver",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "overlay2 or overlay; no devicemapper on a loop device",
        why: "devicemapper on a loop device is slow and loses data",
        source: "gen/build_deploy/bash.py: check_docker_device_mapper_loopback",
        cure: "set storage-driver to overlay2 in /etc/docker/daemon.json, and restart docker",
        look: driver,
    },
    Rule {
        id: "docker.root-dir",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "on a file system of a local disk that can be written",
        why: "images and containers are kept there; without it no container starts, and in memory \
              all are gone at the next boot",
        source: "docs: system requirements (/var/lib/docker must not be a remote mount); docker's \
                 own data-root",
        cure: "set data-root to a directory of a local disk in /etc/docker/daemon.json, and \
               restart docker",
        look: root_dir,
    },
    Rule {
        id: "docker.live-restore",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "off",
        why: "the documentation asks for it: Mesos and docker must agree on which containers live",
        source: "docs: system requirements",
        cure: "set live-restore to false in /etc/docker/daemon.json, and restart docker",
        look: live_restore,
    },
];

fn engine<'a>(facts: &Facts<'a>) -> Result<&'a Engine, Finding> {
    match &facts.host.docker {
        None => Err(Finding::not_here("the node is a directory")),
        Some(Err(_)) => Err(Finding::not_here("docker does not answer")),
        Some(Ok(engine)) => Ok(engine),
    }
}

fn reachable(facts: &Facts<'_>) -> Finding {
    match &facts.host.docker {
        None => Finding::not_here("the node is a directory"),
        Some(Err(why)) => Finding::bad(why),
        Some(Ok(engine)) => Finding::good(format!("docker {}", engine.version)),
    }
}

fn version(facts: &Facts<'_>) -> Finding {
    let engine = match engine(facts) {
        Err(finding) => return finding,
        Ok(engine) => engine,
    };
    let version = &engine.version;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::unknown(format!("docker calls its version {version:?}"));
    };
    if (major, minor) < (1, 6) {
        return Finding::bad(version);
    }
    match (major, engine.containerd.as_deref()) {
        (17, _) => Finding::doubtful(format!(
            "{version}, whose accounting of kernel memory is known to be bad"
        )),
        (_, Some(containerd)) if containerd.trim_start_matches('v').starts_with("1.2.10") => {
            Finding::doubtful(format!(
                "{version} with containerd {containerd}, which is known to be bad"
            ))
        }
        _ => Finding::good(version),
    }
}

fn driver(facts: &Facts<'_>) -> Finding {
    match engine(facts) {
        Err(finding) => finding,
        Ok(Engine { loopback: Some(file), .. }) => {
            Finding::bad(format!("devicemapper on the loop device of {file}"))
        }
        Ok(Engine { driver, .. }) if matches!(driver.as_str(), "overlay" | "overlay2") => {
            Finding::good(driver)
        }
        Ok(Engine { driver, .. }) => {
            Finding::doubtful(format!("{driver}; DC/OS was tested with overlay and overlay2"))
        }
    }
}

fn root_dir(facts: &Facts<'_>) -> Finding {
    let root = match engine(facts) {
        Err(finding) => return finding,
        Ok(engine) => &engine.root,
    };
    let place = match storage::place(facts, root) {
        Err(finding) => return finding,
        Ok(place) => place,
    };
    let found = format!("{root} is on {} ({})", place.mounted_at, place.kind);
    if storage::is_remote(place) {
        Finding::bad(format!("{found}, which is on another machine"))
    } else if storage::has(place, "ro") {
        Finding::bad(format!("{found}, which is read-only"))
    } else if matches!(place.kind.as_str(), "tmpfs" | "ramfs") {
        Finding::bad(format!("{found}, which is in memory"))
    } else {
        Finding::good(found)
    }
}

fn live_restore(facts: &Facts<'_>) -> Finding {
    match engine(facts).map(|engine| engine.live_restore) {
        Err(finding) => finding,
        Ok(Some(true)) => Finding::bad("on"),
        Ok(_) => Finding::good("off"),
    }
}
