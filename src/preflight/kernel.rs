//! What DC/OS needs of the kernel.

use std::collections::BTreeSet;

use super::Facts;
use super::rule::{Except, Finding, Rule, Severity};
use crate::dcos::role::Role;
use crate::observe::machine::Machine;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "kernel.cgroups",
        skippable: true,
        severity: Severity::Warn,
        except: &[
            Except {
                roles: &[Role::Slave, Role::SlavePublic],
                from: (0, 0),
                to: (u32::MAX, u32::MAX),
                severity: Severity::Fail,
            },
            Except {
                roles: &[Role::Master],
                from: (0, 0),
                to: (u32::MAX, u32::MAX),
                severity: Severity::Ignore,
            },
        ],
        expected: "hierarchies of control groups of version 1",
        why: "the Mesos agent of DC/OS 1.10 to 2.2 mounts them and ends if it cannot",
        source: "mesos: src/linux/cgroups.cpp, prepare; \
                 MESOS_ISOLATION=cgroups/cpu,cgroups/mem,cgroups/blkio of dcos-config",
        cure: "boot with systemd.unified_cgroup_hierarchy=0 \
               systemd.legacy_systemd_cgroup_controller=1, and without cgroup_disable",
        look: cgroups,
    },
    Rule {
        id: "kernel.selinux",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "off, permissive, or enforcing with the policy targeted (from 1.12 on)",
        why: "other policies refuse what DC/OS does",
        source: "gen/build_deploy/bash.py: check_selinux",
        cure: "setenforce 0, and SELINUX=permissive in /etc/selinux/config",
        look: selinux,
    },
    Rule {
        id: "kernel.modules-net",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "ip_vs, ip_vs_wlc and dummy can be loaded",
        why: "dcos-net loads them before it starts, and does not start without them",
        source: "packages/dcos-net/extra/dcos-net.service: ExecStartPre modprobe",
        cure: "install the kernel's modules (kernel-modules-extra, linux-modules-extra), or a \
               kernel that has them",
        look: modules_net,
    },
    Rule {
        id: "kernel.modules-containers",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "overlay and vxlan can be loaded",
        why: "overlay networks and images of containers need them",
        source: "dcos-net makes the interface vtep1024; docs: overlay or overlay2 as docker's \
                 storage driver",
        cure: "install the kernel's modules (kernel-modules-extra, linux-modules-extra), or a \
               kernel that has them",
        look: modules_containers,
    },
    Rule {
        id: "kernel.modules-storage",
        skippable: true,
        severity: Severity::Warn,
        except: &[Except { roles: &[], from: (0, 0), to: (1, 12), severity: Severity::Ignore }],
        expected: "raid1 and dm_raid can be loaded",
        why: "only the DC/OS Storage Service needs them",
        source: "gen/build_deploy/bash.py, 1.13 to 2.2: warn_unloaded_dss_kernel_module",
        cure: "nothing without the DC/OS Storage Service; else modprobe raid1 dm_raid",
        look: modules_storage,
    },
    Rule {
        id: "kernel.ipv6",
        skippable: true,
        severity: Severity::Fail,
        except: &[Except { roles: &[], from: (0, 0), to: (1, 10), severity: Severity::Ignore }],
        expected: "IPv6 in the kernel, or enable_ipv6: false in the build",
        why: "dcos-net gives its interface an IPv6 address before it starts, and does not start if \
              it cannot",
        source: "packages/dcos-net/extra/dcos-net.service: ExecStartPre --ipv6, 1.11 to 2.2 \
                 (DCOS-21471)",
        cure: "set enable_ipv6: false in genconf/config.yaml and generate the build again, or boot \
               without ipv6.disable=1",
        look: ipv6,
    },
];

/// What the Mesos agent mounts: those of its isolators, and `freezer` of its launcher.
const CONTROLLERS: [&str; 6] = ["blkio", "cpu", "cpuacct", "devices", "freezer", "memory"];

fn machine<'a>(facts: &Facts<'a>) -> Result<&'a Machine, Finding> {
    facts.host.machine.as_ref().ok_or_else(|| Finding::not_here("the node is a directory"))
}

fn cgroups(facts: &Facts<'_>) -> Finding {
    let groups = match machine(facts).map(|machine| &machine.cgroups) {
        Err(not_here) => return not_here,
        Ok(Err(why)) => return Finding::unknown(why),
        Ok(Ok(groups)) => groups,
    };
    if groups.only_v2 {
        return Finding::bad("version 2 only, whose controllers cannot be mounted as version 1");
    }
    let lacking = |has: &BTreeSet<String>| {
        CONTROLLERS.iter().filter(|c| !has.contains(**c)).copied().collect::<Vec<_>>().join(", ")
    };
    match (lacking(&groups.enabled), lacking(&groups.mounted)) {
        (missing, _) if !missing.is_empty() => {
            Finding::bad(format!("the kernel does not have, or has switched off: {missing}"))
                .cured_by("boot without cgroup_disable")
        }
        (_, unmounted) if !unmounted.is_empty() => {
            Finding::doubtful(format!("not mounted: {unmounted}"))
                .cured_by("nothing: Mesos mounts them itself, unless version 2 uses them")
        }
        _ => Finding::good("version 1"),
    }
}

fn selinux(facts: &Facts<'_>) -> Finding {
    let selinux = match machine(facts).map(|machine| &machine.selinux) {
        Err(not_here) => return not_here,
        Ok(None) => return Finding::good("off"),
        Ok(Some(selinux)) if !selinux.enforcing => return Finding::good("permissive"),
        Ok(Some(selinux)) => selinux,
    };
    let policy = selinux.policy.as_deref().unwrap_or("a policy that cannot be told");
    match facts.version() {
        _ if policy != "targeted" => Finding::bad(format!("enforcing {policy}")),
        Some(version) if version < (1, 12) => {
            Finding::bad("enforcing; DC/OS before 1.12 allows that with no policy")
        }
        None => Finding::doubtful("enforcing targeted, which DC/OS before 1.12 refuses"),
        Some(_) => Finding::good("enforcing targeted"),
    }
}

fn modules_net(facts: &Facts<'_>) -> Finding {
    // The units of 1.10 ignore that the load balancer's module is missing (ExecStartPre=-).
    if facts.version() != Some((1, 10)) {
        return modules(facts, &["ip_vs", "ip_vs_wlc", "dummy"]);
    }
    match (modules(facts, &["dummy"]), modules(facts, &["ip_vs", "ip_vs_wlc"])) {
        (Finding::Good(_), Finding::Bad { found, .. }) => Finding::doubtful(found),
        (interfaces, _) => interfaces,
    }
}

fn modules_containers(facts: &Facts<'_>) -> Finding {
    modules(facts, &["overlay", "vxlan"])
}

fn modules_storage(facts: &Facts<'_>) -> Finding {
    modules(facts, &["raid1", "dm_raid"])
}

fn modules(facts: &Facts<'_>, wanted: &[&str]) -> Finding {
    let found = match machine(facts).map(|machine| &machine.modules) {
        Err(not_here) => return not_here,
        Ok(Err(why)) => return Finding::unknown(why),
        Ok(Ok(found)) => found,
    };
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains(*name)).collect();
    if missing.is_empty() {
        Finding::good("available")
    } else {
        Finding::bad(format!("not available: {}", missing.join(", ")))
    }
}

fn ipv6(facts: &Facts<'_>) -> Finding {
    let on = match machine(facts) {
        Err(not_here) => return not_here,
        Ok(machine) => machine.ipv6,
    };
    match (on, facts.settings.ipv6) {
        (false, Some(false)) => Finding::good("off in the kernel, as in the build"),
        (false, Some(true)) => {
            Finding::bad("off in the kernel, and the build has enable_ipv6: true")
        }
        (false, None) if facts.version().is_none() => Finding::doubtful(
            "off in the kernel, and no \
            build says whether it needs it",
        ),
        (false, None) => Finding::bad(
            "off in the kernel, and the build does not set enable_ipv6, \
                                       which counts as true",
        ),
        (true, Some(false)) => Finding::good("on in the kernel, off in the build"),
        (true, _) if facts.version() == Some((1, 12)) => Finding::doubtful(
            "on in the kernel, and on or unset in a build of 1.12, for which there is an advisory \
             about overlay networks",
        )
        .cured_by(
            "set enable_ipv6: false in genconf/config.yaml unless you need IPv6 \
                           networks",
        ),
        (true, _) => Finding::good("on"),
    }
}
