//! What real builds of DC/OS 1.10 to 2.2 do, each in the shape of its release: files that are empty
//! from the beginning, units that are links, owners that services change, files outside of DC/OS'
//! own places, a first activation that was killed.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dcos_node::dcos::{data, layout, leftovers, run_time};
use support::build::Compression;
use support::classic::Image;
use support::shape::Shape;
use support::tree::Snapshot;
use tempfile::TempDir;

const UNITS: &str = "etc/systemd/system";
const WANTS: &str = "etc/systemd/system/dcos.target.wants";

fn run(image: &Image, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(arguments).arg("--root").arg(image.root()).output().expect("run dcos-node")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    said(output)
}

fn serving(shape: Shape) -> TempDir {
    let serve = tempfile::tempdir().expect("a directory");
    shape.build().compressed(Compression::Zstd).pack(serve.path());
    serve
}

fn install(image: &Image, serve: &TempDir, role: &str) -> Output {
    let url = serve.path().to_str().expect("UTF-8");
    run(image, &["install", role, "--bootstrap-url", url])
}

/// An image that was installed, and where from.
fn installed(shape: Shape, role: &str) -> (Image, TempDir) {
    let (image, serve) = (Image::clean(), serving(shape));
    ends(&install(&image, &serve, role), 0);
    (image, serve)
}

/// The same, had the classic installer made it.
fn classic(shape: Shape, role: &str) -> (Image, TempDir) {
    let (image, serve) = installed(shape, role);
    ["opt/dcos-node", "var/lib/dcos-node"].iter().for_each(|ours| image.remove(ours));
    image.write(
        "etc/systemd/system/dcos-setup.service",
        "[Service]\nExecStart=/opt/mesosphere/bin/pkgpanda setup\n",
    );
    (image, serve)
}

fn names(image: &Image, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(image.at(directory)).expect("list");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A package's directory in the repository.
fn package(image: &Image, name: &str) -> String {
    let id = names(image, "opt/mesosphere/packages")
        .into_iter()
        .find(|id| id.split_once("--").is_some_and(|(of, _)| of == name));
    format!("opt/mesosphere/packages/{}", id.expect(name))
}

/// Where a package has a unit of this role.
fn unit_of_package(image: &Image, unit: &str, role: &str) -> PathBuf {
    let packages = names(image, "opt/mesosphere/packages");
    let wants = ["dcos.target.wants".to_owned(), format!("dcos.target.wants_{role}")];
    let mut places = packages.iter().flat_map(|id| {
        wants.iter().map(move |wants| format!("opt/mesosphere/packages/{id}/{wants}/{unit}"))
    });
    Path::new("/").join(places.find(|place| image.has(place)).expect(unit))
}

/// What the activation of 1.10 makes of the units (`manage_systemd_linking`).
fn link_units(image: &Image, role: &str) {
    for unit in names(image, WANTS) {
        let source = unit_of_package(image, &unit, role);
        for place in [format!("{WANTS}/{unit}"), format!("{UNITS}/{unit}")] {
            image.remove(&place);
            image.link(&place, source.to_str().expect("UTF-8"));
        }
    }
}

/// What the activation of later releases makes of them (`stage_new_units`).
fn copy_units(image: &Image) {
    for unit in names(image, WANTS) {
        let (wants, copy) = (format!("{WANTS}/{unit}"), format!("{UNITS}/{unit}"));
        let source = std::fs::read_link(image.at(&wants)).expect("a link");
        let text = image.read(source.to_str().expect("UTF-8"));
        [&wants, &copy].iter().for_each(|place| image.remove(place));
        image.write(&copy, &text);
        image.link(&wants, &format!("/{copy}"));
    }
}

/// Without accounts' own files and what an uninstall may leave of its work.
fn seen(image: &Image) -> Snapshot {
    let mut snapshot = Snapshot::of(image.root());
    let others = ["/etc/passwd-", "/etc/group-", "/etc/shadow", "/etc/gshadow", "/etc/subuid"];
    let others = others.iter().chain(&["/etc/subgid", "/etc/.pwd.lock"]);
    snapshot.paths.retain(|path, _| !others.clone().any(|other| path.starts_with(other)));
    snapshot
}

#[track_caller]
fn is_as_before(image: &Image, before: &Snapshot) {
    let after = seen(image);
    let differences: Vec<_> = before
        .paths
        .keys()
        .chain(after.paths.keys())
        .filter(|path| before.paths.contains_key(*path) != after.paths.contains_key(*path))
        .collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn classic_node_with_a_script_built_empty_is_adopted() {
    if !support::is_root() {
        return;
    }
    for shape in [Shape::V1_12, Shape::V2_2] {
        let (image, _serve) = classic(shape, "master");
        let status: serde_json::Value =
            serde_json::from_slice(&run(&image, &["status", "--json"]).stdout).expect("JSON");
        let data = status.get("data").unwrap_or(&status);
        assert_eq!(data["unfinished"], serde_json::json!([]), "{status}");
        ends(&run(&image, &["adopt"]), 0);
        ends(&run(&image, &["verify"]), 0);
    }
}

#[test]
fn classic_node_with_an_emptied_program_is_not_adopted() {
    if !support::is_root() {
        return;
    }
    let (image, _serve) = classic(Shape::V1_12, "master");
    let program = format!("{}/bin/detect_ip", package(&image, "dcos-config"));
    image.write(&program, "");
    let refusal = ends(&run(&image, &["adopt"]), 5);
    assert!(refusal.contains(&program) && !refusal.contains("detect_ip6"), "{refusal}");
}

#[test]
fn units_of_1_10_are_links_and_leave_nothing_behind() {
    if !support::is_root() {
        return;
    }
    let image = Image::clean();
    let (before, serve) = (seen(&image), serving(Shape::V1_10));
    ends(&install(&image, &serve, "slave"), 0);
    let units = names(&image, WANTS);
    assert_eq!(units.len(), 22);
    for unit in &units {
        let source = unit_of_package(&image, unit, "slave");
        let target = |place: &str| std::fs::read_link(image.at(&format!("{place}/{unit}")));
        assert_eq!(target(WANTS).expect("a link"), source, "{unit}");
        // To the end of all links: a package may have a link in its place.
        let end = std::fs::canonicalize(image.at(source.to_str().unwrap())).expect("a file");
        let end = Path::new("/").join(end.strip_prefix(image.root()).expect("inside"));
        assert_eq!(target(UNITS).expect("a link"), end, "{unit}");
    }
    ends(&run(&image, &["verify"]), 0);
    let again = ends(&install(&image, &serve, "slave"), 0);
    assert!(again.contains("nothing was changed"), "{again}");
    ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
    is_as_before(&image, &before);
}

#[test]
fn linked_units_of_a_classic_node_are_intact_and_adopted() {
    if !support::is_root() {
        return;
    }
    // A node of 1.11 that came from 1.10 has the links of 1.10 until its own next activation.
    for shape in [Shape::V1_10, Shape::V1_11] {
        let (image, _serve) = classic(shape, "master");
        if shape == Shape::V1_11 {
            link_units(&image, "master");
        }
        ends(&run(&image, &["adopt"]), 0);
        ends(&run(&image, &["verify"]), 0);
        ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
        assert!(!image.has(WANTS) && image.units().is_empty(), "{:?}", image.units());
    }
}

#[test]
fn units_relinked_by_pkgpanda_are_intact_and_uninstalled() {
    if !support::is_root() {
        return;
    }
    for (shape, linked) in [(Shape::V1_11, true), (Shape::V1_10, false)] {
        let image = Image::clean();
        let (before, serve) = (seen(&image), serving(shape));
        ends(&install(&image, &serve, "slave"), 0);
        if linked {
            link_units(&image, "slave")
        } else {
            copy_units(&image)
        }
        ends(&run(&image, &["verify"]), 0);
        ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
        is_as_before(&image, &before);
        ends(&install(&image, &serve, "slave"), 0);
        ends(&run(&image, &["verify"]), 0);
    }
}

#[test]
fn changed_unit_is_drift_in_either_form() {
    if !support::is_root() {
        return;
    }
    for shape in [Shape::V1_10, Shape::V1_12] {
        let (image, _serve) = installed(shape, "slave");
        let unit = format!("{UNITS}/dcos-rexray.service");
        image.remove(&unit);
        image.write(&unit, "[Service]\nExecStart=/bin/true\n");
        let drift = ends(&run(&image, &["verify"]), 6);
        assert!(drift.contains(&unit), "{drift}");
    }
}

#[test]
fn swap_of_1_10_is_finished_with_linked_units() {
    if !support::is_root() {
        return;
    }
    let (image, _serve) = classic(Shape::V1_10, "slave");
    let units = names(&image, WANTS);
    // Its first half took the old units away; those of the new set come after the names.
    image.with_new_names();
    units.iter().for_each(|unit| image.remove(&format!("{UNITS}/{unit}")));
    image.set_aside(&["bin"]);
    let progress = r#"{"stage": "archive", "extension": ".new"}"#;
    image.write("opt/mesosphere/install_progress", progress);
    ends(&run(&image, &["recover"]), 0);
    assert!(units.iter().all(|unit| image.has(&format!("{UNITS}/{unit}"))));
    ends(&run(&image, &["adopt"]), 0);
    ends(&run(&image, &["verify"]), 0);
}

#[test]
fn owners_changed_by_the_ui_updater_are_no_drift() {
    if !support::is_root() {
        return;
    }
    for shape in [Shape::V1_13, Shape::V2_2] {
        let (image, _serve) = installed(shape, "master");
        let group = image.read("etc/group");
        let number = group.lines().find_map(|line| {
            line.strip_prefix("dcos_ui_update_service:")?.split(':').nth(1)?.parse::<u32>().ok()
        });
        let number = number.expect("the group");
        let interface = format!("{}/usr", package(&image, "dcos-ui"));
        for given in ["var/lib/dcos/dcos-ui-update-service", interface.as_str()] {
            chown(image.at(given), Some(0), Some(number)).expect("chown");
        }
        ends(&run(&image, &["verify"]), 0);
        let status: serde_json::Value =
            serde_json::from_slice(&run(&image, &["status", "--json"]).stdout).expect("JSON");
        let data = status.get("data").unwrap_or(&status);
        assert_eq!(data["drift"]["drifted"], false, "{status}");
        // What the updater does not own is drift as ever.
        let page = format!("{interface}/index.html");
        chown(image.at(&page), None, Some(number)).expect("chown");
        assert_eq!(image.at(&page).metadata().expect("the page").gid(), number);
        let drift = ends(&run(&image, &["verify"]), 6);
        assert!(drift.contains(&page), "{drift}");
    }
}

#[test]
fn purge_removes_what_calico_and_diagnostics_left() {
    if !support::is_root() {
        return;
    }
    let image = Image::clean();
    let (before, serve) = (seen(&image), serving(Shape::V2_2));
    let left = [
        "var/lib/calico/nodename",
        "var/lib/calico/profile.yaml",
        "etc/calico/calicoctl.cfg",
        "etc/calico/confd/conf.d/bird.toml",
        "var/log/mesos-state.tar.gz",
        "tmp/mesos-state-1600000000.log",
    ];
    let runs = || left.iter().for_each(|path| image.write(path, "left\n"));
    ends(&install(&image, &serve, "master"), 0);
    runs();
    let kept = ends(&run(&image, &["uninstall", "--yes"]), 0);
    for place in ["/var/lib/calico", "/etc/calico", "/var/log/mesos-state.tar.gz"] {
        assert!(kept.contains(place), "{place}:\n{kept}");
    }
    assert!(!image.has(left[5]), "a temporary file is no data");
    ends(&install(&image, &serve, "master"), 0);
    runs();
    ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
    is_as_before(&image, &before);

    // Of a classic node nobody knows what was there before.
    let (image, _serve) = classic(Shape::V2_2, "master");
    left.iter().for_each(|path| image.write(path, "left\n"));
    ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
    let there: Vec<_> = left.iter().filter(|path| image.has(path)).collect();
    assert!(there.is_empty(), "{there:?}");
}

#[test]
fn purge_keeps_and_names_what_others_use_too() {
    if !support::is_root() {
        return;
    }
    let (image, _serve) = classic(Shape::V2_2, "slave");
    // Another calico has a name of the node there, too, and docker's settings are an operator's.
    image.write("var/lib/calico/nodename", "theirs\n");
    image.write(
        "etc/docker/daemon.json",
        "{\"cluster-store\": \"etcd://master.dcos.thisdcos.directory:2379\"}\n",
    );
    image.write("etc/mesosphere/mesos/agent-public.env", "MESOS_X=1\n");
    let report = ends(&run(&image, &["uninstall", "--yes", "--purge-data"]), 0);
    for kept in
        ["/var/lib/calico", "/etc/docker/daemon.json", "/etc/mesosphere/mesos/agent-public.env"]
    {
        assert!(image.has(kept) && report.contains(kept), "{kept}:\n{report}");
    }
}

/// Every place outside of packages that a unit, or a script that one runs, writes to in any
/// release: read off the units and `packages/*/extra` of 1.10 to 2.2.
const WRITTEN: [&str; 38] = [
    "/etc/NetworkManager/conf.d/dcos-net.conf",
    "/etc/calico/calicoctl.cfg",
    "/etc/calico/confd/config/bird.cfg",
    "/etc/docker/daemon.json",
    "/etc/resolv.conf",
    "/etc/resolv.conf.tmp",
    "/etc/rexray/config.yml",
    "/etc/systemd/network/dcos.network",
    "/run/calico/bird.ctl",
    "/run/dcos/cni/networks",
    "/run/dcos/cockroach/cockroach.pid",
    "/run/dcos/etc/metronome/service.env",
    "/run/dcos/etcd",
    "/run/dcos/telegraf-dcos-metrics.sock",
    "/run/dcos_exhibitor/exhibitor_defaults.conf",
    "/run/docker/plugins",
    "/run/docker/plugins/calico.sock",
    "/run/docker/plugins/rexray.sock",
    "/run/libstorage/lsx.lock",
    "/run/mesos/mesos-executors.sock",
    "/tmp/mesos-state-1600000000.log",
    "/tmp/nginx-mesos-cache",
    "/tmp/sys.config",
    "/tmp/vm.args",
    "/var/lib/calico/nodename",
    "/var/lib/calico/profile.yaml",
    "/var/lib/cni/networks/dcos",
    "/var/lib/dcos/cluster-id",
    "/var/lib/dcos/etcd/default.etcd",
    "/var/lib/dcos/exec/dcos_bouncer",
    "/var/lib/dcos/flb-storage",
    "/var/lib/dcos/mesos-resources",
    "/var/lib/dcos/navstar/ip",
    "/var/lib/mesos/slave/meta",
    "/var/log/mesos-state.tar",
    "/var/log/mesos-state.tar.gz",
    "/var/log/mesos/archive",
    "/var/log/mesos/mesos-agent.log",
];

#[test]
fn every_place_that_units_write_is_known_to_uninstall() {
    let tables = data::PLACES.iter().map(|place| place.path);
    let tables = tables.chain(leftovers::LEFTOVERS.iter().map(|leftover| leftover.path));
    let tables: Vec<&str> = tables
        .chain(layout::MADE_BY_UNITS)
        .chain(layout::WATCHED)
        .chain([layout::RESOLV_CONF, layout::DOCKER_SETTINGS])
        .collect();
    for path in WRITTEN {
        let name = Path::new(path).file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(
            tables.iter().any(|known| Path::new(path).starts_with(known))
                || leftovers::is_mesos_state(name),
            "{path}"
        );
    }
    assert!(run_time::CHANGES.iter().all(|change| !change.source.is_empty()));
}

#[test]
fn first_activation_killed_in_its_swap_is_set_up() {
    const COMMIT: &str = "etc/systemd/system/multi-user.target.wants/dcos.target";
    if !support::is_root() {
        return;
    }
    let progress = r#"{"stage": "archive", "extension": ".new"}"#;
    let killed_in_swap = |image: &Image| {
        image.with_new_names();
        image.set_aside(&["bin", "lib"]);
        image.write("opt/mesosphere/install_progress", progress);
    };
    // The swap came to its end, and what comes after it did not begin.
    let killed_after_swap = |_: &Image| {};
    let ways: [&dyn Fn(&Image); 2] = [&killed_in_swap, &killed_after_swap];
    for (killed, by_install) in ways.into_iter().zip([true, false]) {
        let (image, serve) = classic(Shape::V1_12, "master");
        image.write("opt/mesosphere/bootstrap", "");
        image.remove(COMMIT);
        killed(&image);
        let refusal = ends(&run(&image, &["adopt"]), 5);
        assert!(
            refusal.contains("dcos-node recover") && !refusal.contains("uninstall"),
            "{refusal}"
        );
        let output =
            if by_install { install(&image, &serve, "master") } else { run(&image, &["recover"]) };
        let report = ends(&output, 0);
        assert!(report.contains(if by_install { "adopt" } else { "dcos.target" }), "{report}");
        let link = std::fs::read_link(image.at(COMMIT)).expect("starts at boot");
        assert_eq!(link, Path::new("/etc/systemd/system/dcos.target"));
        for gone in ["bootstrap", "install_progress", "bin.new"] {
            assert!(!image.has(&format!("opt/mesosphere/{gone}")), "{gone}");
        }
        ends(&run(&image, &["adopt"]), 0);
        ends(&run(&image, &["verify"]), 0);
    }
}
