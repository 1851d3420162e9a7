//! States that the classic installer and pkgpanda leave.

use support::classic::Image;

use super::MARATHON;

/// A state in which everything is in its place.
pub(super) const MARKER_LEFT: &str = "killed before the marker was removed";

/// The rows of `fixtures/reference/faults.md` that leave something, and what operators do besides.
pub(super) fn states() -> Vec<(&'static str, Image)> {
    let master = Image::golden("master", "master");
    let half = || {
        Image::node_files_only("master").with_bootstrap().with_packages(&[
            "adminrouter",
            "dcos-log",
            "exhibitor",
        ])
    };
    let of = |change: &dyn Fn(&Image)| {
        let image = master.copy();
        change(&image);
        image
    };
    let of_half = |change: &dyn Fn(&Image)| {
        let image = half();
        change(&image);
        image
    };
    let all = [
        "bin",
        "etc",
        "include",
        "lib",
        "environment",
        "environment.export",
        "active.buildinfo.full.json",
        "active",
    ];
    let progress = |image: &Image, stage: &str| {
        image.write(
            "opt/mesosphere/install_progress",
            &format!("{{\"stage\": \"{stage}\", \"extension\": \".new\"}}"),
        )
    };
    let stray_units = |image: &Image| {
        for name in image.units() {
            if !["dcos-setup.service", "dcos-download.service", "dcos-link-env.service"]
                .contains(&name.as_str())
            {
                image.rename(
                    &format!("etc/systemd/system/{name}"),
                    &format!("etc/systemd/system/{name}.unit.new"),
                );
            }
        }
    };
    // As they stand when an activation fails before its swap: the bootstrap archive's set is
    // active, and no unit is placed.
    let before_units = |image: &Image| {
        let kept = ["dcos-setup.service", "dcos-download.service", "dcos-link-env.service"];
        let placed = image
            .units()
            .into_iter()
            .filter(|name| !kept.contains(&name.as_str()))
            .collect::<Vec<_>>();
        placed.iter().for_each(|name| image.remove(&format!("etc/systemd/system/{name}")));
        ["dcos.target.wants", "multi-user.target.wants/dcos.target"]
            .iter()
            .for_each(|n| image.remove(&format!("etc/systemd/system/{n}")));
    };
    let some_new = |image: &Image| {
        image.with_new_names();
        before_units(image);
        [
            "opt/mesosphere/active.new",
            "opt/mesosphere/environment.export.new",
            "opt/mesosphere/lib.new",
        ]
        .iter()
        .for_each(|n| image.remove(n));
    };
    let pkginfo = |text: Option<&str>| {
        of(&|i| {
            before_units(i);
            match text {
                Some(text) => i.write(&format!("{MARATHON}/pkginfo.json"), text),
                None => i.remove(&format!("{MARATHON}/pkginfo.json")),
            }
        })
    };
    vec![
        (
            "wrong content that is a valid archive",
            of(&|i| i.write(&format!("{MARATHON}/bin/marathon-run"), "#!/bin/sh\nexit 0\n")),
        ),
        (
            "another package's archive under this name",
            of(&|i| {
                some_new(i);
                i.remove(MARATHON);
                i.write(&format!("{MARATHON}/bin/mesos-dns"), "");
                i.write(&format!("{MARATHON}/pkginfo.json"), "{\"username\": \"dcos_mesos_dns\"}");
            }),
        ),
        ("no package list", Image::node_files_only("master").with_bootstrap()),
        (
            "two packages with the same file",
            of(&|i| {
                some_new(i);
                i.write(&format!("{MARATHON}/bin/mesos-dns"), "");
            }),
        ),
        (
            "master and slave at once",
            of(&|i| {
                some_new(i);
                i.write("etc/mesosphere/roles/slave", "");
            }),
        ),
        ("a pkginfo.json of a half node that is no JSON", pkginfo(Some("["))),
        ("a pkginfo.json that is a list", pkginfo(Some("[]"))),
        ("a package without pkginfo.json", pkginfo(None)),
        ("a pkginfo.json that is empty", pkginfo(Some(""))),
        (
            "a package that requires what is not there",
            pkginfo(Some("{\"requires\": [\"nothing\"]}")),
        ),
        ("a username that is none", pkginfo(Some("{\"username\": \"root; reboot\"}"))),
        (
            "a unit with a reserved name",
            of(&|i| {
                some_new(i);
                i.write(
                    &format!("{MARATHON}/dcos.target.wants_master/dcos-setup.service"),
                    "[Service]\nExecStart=/bin/true\n",
                );
            }),
        ),
        (
            "killed late in move_new",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&all);
                ["bin", "etc", "include", "lib", "environment"].iter().for_each(|n| {
                    i.rename(&format!("opt/mesosphere/{n}.new"), &format!("opt/mesosphere/{n}"))
                });
                i.rename(
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/dcos.target.wants.old",
                );
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "a power cut that emptied files and lost all packages",
            of(&|i| {
                i.emptied();
                ["etc/systemd/system/dcos.target", "etc/systemd/journald.conf.d/dcos.conf"]
                    .iter()
                    .for_each(|n| i.write(n, ""));
                i.remove("opt/mesosphere/packages");
            }),
        ),
        ("a whole master", master.copy()),
        ("a whole slave", Image::golden("slave", "slave")),
        ("a master after an upgrade", Image::golden("master-swap", "master")),
        ("pkgpanda uninstall", Image::golden("master-after-pkgpanda-uninstall", "master")),
        ("server down before the start", Image::node_files_only("master")),
        ("reboot before dcos-setup was enabled", {
            let image = Image::node_files_only("master");
            image.remove("etc/systemd/system/multi-user.target.wants/dcos-setup.service");
            image
        }),
        ("a damaged package", half()),
        ("/tmp was full", {
            let image = Image::node_files_only("master");
            image.write("tmp/bootstrap.tar.xz", "half");
            image
        }),
        (
            "a damaged bootstrap archive",
            of_half(&|i| {
                ["active", "bin", "lib", "environment"]
                    .iter()
                    .for_each(|n| i.remove(&format!("opt/mesosphere/{n}")))
            }),
        ),
        ("a bootstrap archive cut off after active", of_half(&|i| i.remove("opt/mesosphere/bin"))),
        (
            "disk full in the bootstrap archive",
            of_half(&|i| {
                i.emptied();
                i.write("tmp/bootstrap.tar.xz", "whole");
            }),
        ),
        (
            "killed in a fetch",
            of_half(&|i| {
                i.write("opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c_tmp/pkginfo.json", "{}");
            }),
        ),
        (
            "killed or failed while linking",
            of(&|i| {
                i.with_new_names();
                i.write("opt/mesosphere/bootstrap", "");
                stray_units(i);
                i.remove("etc/systemd/system/dcos.target.wants");
            }),
        ),
        (
            "a pkginfo.json that is none",
            of(&|i| {
                i.write("opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c/pkginfo.json", "[");
            }),
        ),
        (
            "killed in the first half of a swap",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&["bin", "lib"]);
                progress(i, "archive");
            }),
        ),
        (
            "killed before the second half",
            of(&|i| {
                i.with_new_names();
                i.set_aside(&all);
                i.rename(
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/dcos.target.wants.old",
                );
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "killed in the unit renames",
            of(&|i| {
                i.write("etc/systemd/system/dcos.target.wants.old/x", "");
                i.remove("etc/systemd/system/dcos.target.wants.old/x");
                stray_units(i);
                progress(i, "move_new");
            }),
        ),
        (
            "an upgrade killed after the units were removed",
            of(&|i| {
                stray_units(i);
                i.units()
                    .iter()
                    .filter(|n| n.ends_with(".unit.new"))
                    .for_each(|n| i.remove(&format!("etc/systemd/system/{n}")));
                i.set_aside(&["bin"]);
                progress(i, "archive");
            }),
        ),
        (
            "killed while it wrote its progress",
            of(&|i| i.write("opt/mesosphere/install_progress.new", "{")),
        ),
        (
            "a power cut that emptied the progress of a swap",
            of(&|i| {
                i.with_new_names();
                i.write("opt/mesosphere/install_progress", "");
            }),
        ),
        ("nothing but progress that was not written", {
            let image = Image::clean();
            image.write("opt/mesosphere/install_progress.new", "{");
            image
        }),
        (MARKER_LEFT, of(&|i| i.write("opt/mesosphere/bootstrap", ""))),
        ("a power cut that emptied every file", of(&Image::emptied)),
        (
            "a power cut that also lost paths",
            of(&|i| {
                i.emptied();
                [
                    "opt/mesosphere/active",
                    "opt/mesosphere/lib",
                    "etc/systemd/system/dcos.target",
                    "etc/mesosphere/setup-flags",
                ]
                .iter()
                .for_each(|n| i.remove(n));
            }),
        ),
        ("two roles at once", of(&|i| i.write("etc/mesosphere/roles/slave", ""))),
        ("an operator's rm -rf", of(&|i| i.remove("opt/mesosphere"))),
        (
            "an operator's rm -rf of everything but units and accounts",
            of(&|i| {
                ["opt/mesosphere", "etc/mesosphere", "run/dcos"].iter().for_each(|n| i.remove(n))
            }),
        ),
        ("nothing but units to come", {
            let image = Image::clean();
            image.write("etc/systemd/system/dcos-net.service.unit.new", "");
            image
        }),
        ("nothing but the target's links, set aside", {
            let image = Image::clean();
            image.link(
                "etc/systemd/system/dcos.target.wants.old/dcos-net.service",
                "/etc/systemd/system/dcos-net.service",
            );
            image
        }),
        ("killed within its first mkdir", {
            let image = Image::clean();
            std::fs::create_dir(image.at("etc/mesosphere")).expect("make a directory");
            image
        }),
        ("killed before it wrote its first file", {
            let image = Image::clean();
            std::fs::create_dir_all(image.at("etc/mesosphere/setup-flags"))
                .expect("make a directory");
            image
        }),
        ("killed before it wrote its first file, of an order that begins with roles", {
            let image = Image::clean();
            ["roles", "setup-flags"].iter().for_each(|n| {
                std::fs::create_dir_all(image.at(&format!("etc/mesosphere/{n}")))
                    .expect("make a directory")
            });
            image
        }),
        ("nothing but setup flags", {
            let image = Image::clean();
            image.write("etc/mesosphere/setup-flags/repository-url", "http://192.0.2.9\n\n");
            image
        }),
        ("nothing but journald's file", {
            let image = Image::clean();
            image.write("etc/systemd/journald.conf.d/dcos.conf", "[Journal]\n");
            image
        }),
        ("nothing but the link that starts the target", {
            let image = Image::clean();
            image.link(
                "etc/systemd/system/multi-user.target.wants/dcos.target",
                "/etc/systemd/system/dcos.target",
            );
            image
        }),
        (
            "nothing but unit files",
            of(&|i| {
                [
                    "opt/mesosphere",
                    "etc/mesosphere",
                    "run/dcos",
                    "etc/systemd/system/dcos.target.wants",
                    "etc/systemd/system/multi-user.target.wants/dcos.target",
                ]
                .iter()
                .for_each(|n| i.remove(n));
            }),
        ),
    ]
}
