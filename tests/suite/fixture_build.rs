//! The builds that the other tests install: packed twice they are the same, and they hold together.

mod changed;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::build::{Build, Packed};

/// Members of an archive by name, directories without their slash: type, mode, and content or
/// target.
type Members = BTreeMap<String, (tar::EntryType, u32, Vec<u8>)>;

fn builds() -> Vec<(&'static str, Build)> {
    vec![("tiny", Build::tiny()), ("fixture", Build::fixture())]
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    for (name, build) in builds() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        build.pack(first.path());
        build.clone().pack(second.path());
        let (first, second) = (tree(first.path()), tree(second.path()));
        assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>(), "{name}");
        for (path, content) in &first {
            assert!(content == &second[path], "{name}: {} differs", path.display());
        }
    }
}

#[test]
fn a_serve_directory_holds_what_its_lists_name() {
    for (_, build) in builds() {
        let dir = tempfile::tempdir().unwrap();
        let packed = build.pack(dir.path());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("bootstrap.latest"), packed.bootstrap_id);
        assert_eq!(read("cluster-package-list.latest"), packed.package_list_id);
        assert_eq!(packed.bootstrap_id.len(), 40);

        let listed: Vec<String> =
            serde_json::from_slice(&std::fs::read(packed.package_list()).unwrap()).unwrap();
        assert_eq!(listed, packed.ids.values().cloned().collect::<Vec<_>>());
        for id in &listed {
            let (name, version) = id.split_once("--").unwrap();
            assert_eq!(version.trim_start_matches("setup_").len(), 40, "{id}");
            assert!(dir.path().join(format!("packages/{name}/{id}.tar.xz")).is_file(), "{id}");
        }
        let info: Value = serde_json::from_str(&read("cluster-package-info.json")).unwrap();
        assert_eq!(info.as_object().unwrap().len(), listed.len());
        for (name, id) in &packed.ids {
            assert_eq!(info[name]["id"], id.as_str());
            assert!(dir.path().join(info[name]["filename"].as_str().unwrap()).is_file());
        }
        let active = read(&format!("bootstrap/{}.active.json", packed.bootstrap_id));
        let active: Vec<String> = serde_json::from_str(&active).unwrap();
        assert_eq!(active, packed.bootstrap_ids.values().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn every_pkginfo_parses_and_its_requirements_are_met() {
    for (_, build) in builds() {
        let dir = tempfile::tempdir().unwrap();
        let packed = build.pack(dir.path());
        for name in packed.ids.keys() {
            let members = members(&packed, name);
            let pkginfo: Value = serde_json::from_slice(&members["./pkginfo.json"].2).unwrap();
            for required in pkginfo["requires"].as_array().into_iter().flatten() {
                let required = required.as_str().or(required["name"].as_str()).unwrap();
                assert!(
                    packed.ids.contains_key(required)
                        || packed.bootstrap_ids.contains_key(required),
                    "{name} requires {required}"
                );
            }
            if let Some(group) = pkginfo.get("group") {
                assert!(pkginfo.get("username").is_some(), "{name}: group {group} without a user");
            }
            let home = format!("/opt/mesosphere/packages/{}", packed.id(name));
            for (path, (_, _, content)) in &members {
                let text = String::from_utf8_lossy(content);
                assert!(!text.contains("@PKG_PATH@"), "{name}: {path}");
                for own in
                    text.match_indices("/opt/mesosphere/packages/").map(|(at, _)| &text[at..])
                {
                    assert!(own.starts_with(&home), "{name}: {path} names another package");
                }
            }
        }
    }
}

#[test]
fn the_bootstrap_archive_is_activated() {
    for (name, build) in builds() {
        let dir = tempfile::tempdir().unwrap();
        let packed = build.pack(dir.path());
        let members = unpack(&std::fs::read(packed.bootstrap_archive()).unwrap());
        for top in ["active", "bin", "etc", "include", "lib", "packages"] {
            assert!(members[&format!("./{top}")].0.is_dir(), "{name}: {top}");
        }
        assert!(members["./bootstrap"].2.is_empty());
        assert!(members.contains_key("./bin/add_dcos_path.sh"));
        for (package, id) in &packed.bootstrap_ids {
            assert_eq!(
                members[&format!("./active/{package}")].2,
                format!("/opt/mesosphere/packages/{id}").into_bytes()
            );
            assert!(members.contains_key(&format!("./packages/{id}/pkginfo.json")));
        }
        let links = members
            .iter()
            .filter(|(path, (kind, _, _))| kind.is_symlink() && !path.starts_with("./packages/"));
        for (path, (_, _, target)) in links {
            let target = String::from_utf8(target.clone()).unwrap();
            let inside = format!(".{}", target.strip_prefix("/opt/mesosphere").unwrap());
            assert!(members.contains_key(&inside), "{name}: {path} leads to {target}");
        }
    }
}

#[test]
fn the_install_script_carries_its_node_files() {
    for (_, build) in builds() {
        let dir = tempfile::tempdir().unwrap();
        let url = "http://10.1.2.3:81/dcos";
        let secret = "{\n  \"auths\": {}\n}\n";
        let build = build.with_bootstrap_url(url).with_node_file(
            "/etc/mesosphere/docker_credentials",
            0o600,
            secret,
        );
        let packed = build.pack(dir.path());
        let script = std::fs::read_to_string(dir.path().join("dcos_install.sh")).unwrap();
        let files = node_files(&script);
        let units = ["link-env", "download", "setup"]
            .map(|unit| format!("/etc/systemd/system/dcos-{unit}.service"));
        let flags = "/etc/mesosphere/setup-flags";
        assert_eq!(files[&format!("{flags}/repository-url")], (0o644, format!("{url}\n\n")));
        assert_eq!(
            files[&format!("{flags}/cluster-package-list")],
            (0o644, format!("{}\n\n", packed.package_list_id))
        );
        assert_eq!(files["/etc/mesosphere/docker_credentials"], (0o600, format!("{secret}\n")));
        assert!(units.iter().all(|unit| files[unit].1.contains("[Service]")));
        assert!(
            files[&units[1]]
                .1
                .contains(&format!("{url}/bootstrap/{}.bootstrap.tar.xz", packed.bootstrap_id))
        );
        assert_eq!(files.len(), 8);
        let shell = std::process::Command::new("bash")
            .arg("-n")
            .arg(dir.path().join("dcos_install.sh"))
            .status()
            .unwrap();
        assert!(shell.success());
    }
}

#[test]
fn unusual_members_are_in_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let packed = Build::tiny().pack(dir.path());
    let files = members(&packed, "files");
    assert_eq!(files["./bin/set-user-id"].1, 0o4755);
    assert_eq!(files["./share/sticky"].1, 0o1777);
    assert_eq!(files["./bin/second"].0, tar::EntryType::Link);
    assert_eq!(files["./bin/second"].2, b"./lib/first");
    assert!(files.contains_key("./etc/names/with space"));
    assert!(files.keys().any(|name| name.len() > 100));
    let tools = members(&packed, "tools");
    assert_eq!(tools["./lib/dangling"].2, b"libtiny.so.9");
    assert_eq!(tools["./bin/dcos-path/absolute"].2, b"/opt/mesosphere/bin/tiny-wait");
}

/// The units of DC/OS 1.12, by role.
#[test]
fn the_units_of_each_role_are_those_of_dcos() {
    let everywhere = "checks-api.service checks-api.socket checks-poststart.service \
                      checks-poststart.timer diagnostics.service diagnostics.socket \
                      gen-resolvconf.service gen-resolvconf.timer net-watchdog.service net.service \
                      pkgpanda-api.service telegraf.service telegraf.socket";
    let master = "adminrouter.service cosmos.service diagnostics-mesos-state.service \
                  diagnostics-mesos-state.timer exhibitor.service history.service \
                  log-master.service log-master.socket logrotate-master.service \
                  logrotate-master.timer marathon.service mesos-dns.service mesos-master.service \
                  metronome.service oauth.service signal.service signal.timer";
    let agent = "adminrouter-agent.service docker-gc.service docker-gc.timer log-agent.service \
                 log-agent.socket logrotate-agent.service logrotate-agent.timer rexray.service";
    let dir = tempfile::tempdir().unwrap();
    let packed = Build::fixture().pack(dir.path());
    let units = |role: &str| {
        let mut units: Vec<String> = Vec::new();
        for package in packed.ids.keys() {
            for path in members(&packed, package).keys() {
                let unit =
                    [format!("./dcos.target.wants_{role}/"), "./dcos.target.wants/".to_owned()];
                units.extend(
                    unit.iter().filter_map(|dir| path.strip_prefix(dir)).map(str::to_owned),
                );
            }
        }
        units.sort();
        units
    };
    for (role, names) in [
        ("master", master.to_owned()),
        ("slave", format!("{agent} mesos-slave.service")),
        ("slave_public", format!("{agent} mesos-slave-public.service")),
    ] {
        let mut expected: Vec<String> = everywhere
            .split_whitespace()
            .chain(names.split_whitespace())
            .map(|name| format!("dcos-{name}"))
            .collect();
        expected.sort();
        assert_eq!(units(role), expected, "{role}");
    }
}

#[test]
fn fixture_programs_name_themselves_as_stand_ins() {
    let dir = tempfile::tempdir().unwrap();
    let packed = Build::fixture().pack(dir.path());
    for name in packed.ids.keys() {
        for (path, (_, _, content)) in members(&packed, name) {
            let text = String::from_utf8_lossy(&content);
            let head: String = text.lines().take(3).collect::<Vec<_>>().join("\n").to_lowercase();
            let honest = ["stand-in", "fixture"].iter().any(|word| head.contains(word));
            let marked = path.contains("dcos.target.wants") && text.contains("(stand-in");
            assert!(
                !text.starts_with("#!") || honest,
                "{name}: {path} does not say that it is a stand-in"
            );
            assert!(
                !path.ends_with(".service")
                    || marked
                    || text.contains("stand-in")
                    || text.starts_with("../"),
                "{name}: {path}"
            );
        }
    }
}

fn members(packed: &Packed, package: &str) -> Members {
    unpack(&std::fs::read(packed.archive(package)).unwrap())
}

fn unpack(archive: &[u8]) -> Members {
    let mut bytes = Vec::new();
    match archive {
        [0xfd, b'7', ..] => {
            liblzma::read::XzDecoder::new_multi_decoder(archive).read_to_end(&mut bytes)
        }
        [0x1f, 0x8b, ..] => flate2::read::GzDecoder::new(archive).read_to_end(&mut bytes),
        [0x28, 0xb5, ..] => zstd::stream::copy_decode(archive, &mut bytes).map(|()| 0),
        _ => (&mut &archive[..]).read_to_end(&mut bytes),
    }
    .unwrap();
    let mut members = Members::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        let name = if name == "./" { name } else { name.trim_end_matches('/').to_owned() };
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let mut content = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
        entry.read_to_end(&mut content).unwrap();
        assert!(
            members.insert(name.clone(), (kind, mode, content)).is_none(),
            "{name} is in the archive twice"
        );
    }
    members
}

/// The node files of a script: path to mode and content, read line by line.
fn node_files(script: &str) -> BTreeMap<String, (u32, String)> {
    let mut files = BTreeMap::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let Some(path) =
            line.strip_prefix("mkdir -p `dirname ").and_then(|rest| rest.strip_suffix('`'))
        else {
            continue;
        };
        assert_eq!(lines.next().unwrap(), format!("cat <<'EOF' > \"{path}\""));
        let content: String = lines
            .by_ref()
            .take_while(|line| *line != "EOF")
            .map(|line| format!("{line}\n"))
            .collect();
        let mode = lines
            .next()
            .unwrap()
            .strip_prefix("chmod 0")
            .and_then(|rest| rest.strip_suffix(&format!(" {path}")))
            .unwrap();
        assert_eq!(lines.next(), Some(""));
        files.insert(path.to_owned(), (u32::from_str_radix(mode, 8).unwrap(), content));
    }
    files
}

/// Every file below a directory with its content.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                files.insert(
                    path.strip_prefix(dir).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}
