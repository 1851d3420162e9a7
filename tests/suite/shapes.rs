//! `fixtures/build` in the shapes of the releases (`fixtures/shapes/`), held to what DC/OS' own
//! packages have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::Value;
use support::build::Packed;
use support::shape::Shape;

/// Files by `package/path`, with their texts.
struct Shaped(BTreeMap<String, (u32, String)>);

impl Shaped {
    fn of(shape: Shape) -> Shaped {
        let dir = tempfile::tempdir().unwrap();
        Shaped::read(&shape.build().pack(dir.path()))
    }

    fn read(packed: &Packed) -> Shaped {
        let mut files = BTreeMap::new();
        for name in packed.ids.keys() {
            let archive = std::fs::read(packed.archive(name)).unwrap();
            let mut tar = tar::Archive::new(liblzma::read::XzDecoder::new(archive.as_slice()));
            for entry in tar.entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
                let (path, mode) =
                    (path.trim_start_matches("./").to_owned(), entry.header().mode());
                let mut text = Vec::new();
                entry.read_to_end(&mut text).unwrap();
                if !path.ends_with('/') && !path.is_empty() {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    files.insert(format!("{name}/{path}"), (mode.unwrap(), text));
                }
            }
        }
        Shaped(files)
    }

    /// The units of a role with their texts.
    fn units(&self, role: &str) -> BTreeMap<&str, &str> {
        let mut units = BTreeMap::new();
        for (path, (_, text)) in &self.0 {
            let mut parts = path.split('/').skip(1);
            let (Some(wants), Some(unit)) = (parts.next(), parts.next()) else { continue };
            let suffix = wants.strip_prefix("dcos.target.wants");
            if suffix.is_some_and(|suffix| suffix.is_empty() || suffix[1..] == *role) {
                assert!(units.insert(unit, text.as_str()).is_none(), "{unit} twice");
            }
        }
        units
    }

    fn pkginfos(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().filter_map(|(path, (_, text))| {
            let name = path.strip_suffix("/pkginfo.json")?;
            Some((name, serde_json::from_str(text).unwrap()))
        })
    }

    fn users(&self) -> BTreeSet<String> {
        let users = self.pkginfos().filter_map(|(_, info)| Some(info["username"].as_str()?.into()));
        users.collect()
    }

    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

#[test]
fn shapes_have_the_unit_counts_of_their_releases() {
    let counts: Vec<(&str, [usize; 3])> = Shape::ALL
        .into_iter()
        .map(|shape| {
            let files = Shaped::of(shape);
            let count = ["master", "slave", "slave_public"].map(|role| files.units(role).len());
            (shape.release(), count)
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("1.10", [27, 22, 22]),
            ("1.11", [26, 20, 20]),
            ("1.12", [30, 22, 22]),
            ("1.13", [37, 23, 23]),
            ("2.0", [37, 23, 23]),
            ("2.1", [40, 28, 28]),
            ("2.2", [38, 28, 28]),
        ]
    );
}

#[test]
fn shapes_change_accounts_as_their_releases_do() {
    let mut before: Option<BTreeSet<String>> = None;
    let mut changes = Vec::new();
    for shape in Shape::ALL {
        let users = Shaped::of(shape).users();
        if let Some(before) = before {
            let added = users.difference(&before).map(|user| format!("+{user}"));
            let gone = before.difference(&users).map(|user| format!("-{user}"));
            changes.push((shape.release(), added.chain(gone).collect::<Vec<_>>().join(" ")));
        }
        before = Some(users);
    }
    assert_eq!(
        changes.iter().map(|(release, change)| (*release, change.as_str())).collect::<Vec<_>>(),
        [
            ("1.11", "-dcos_epmd"),
            ("1.12", "+dcos_check_runner +dcos_telegraf -dcos_metrics"),
            (
                "1.13",
                "+dcos_bouncer +dcos_cockroach +dcos_fluent_bit +dcos_ui_update_service \
                 -dcos_oauth"
            ),
            ("2.0", ""),
            ("2.1", "+dcos_etcd -dcos_docker_gc -dcos_history"),
            ("2.2", "-dcos_signal"),
        ]
    );
}

#[test]
fn shapes_hold_together() {
    for shape in Shape::ALL {
        let (release, files) = (shape.release(), Shaped::of(shape));
        let names: BTreeSet<&str> = files.pkginfos().map(|(name, _)| name).collect();
        for (name, info) in files.pkginfos() {
            for needed in info["requires"].as_array().into_iter().flatten() {
                let needed = needed["name"].as_str().or(needed.as_str()).unwrap();
                let elsewhere = needed == "python-retrying";
                assert!(names.contains(needed) || elsewhere, "{release}: {name} needs {needed}");
            }
        }
        for role in ["master", "slave", "slave_public"] {
            for (unit, text) in files.units(role) {
                for setting in text
                    .lines()
                    .filter_map(|line| line.strip_prefix("EnvironmentFile=/opt/mesosphere/etc/"))
                {
                    let places = ["etc".to_owned(), format!("etc_{role}")];
                    assert!(
                        places.iter().any(|dir| files.has(&format!("dcos-config/{dir}/{setting}"))),
                        "{release}: {unit} of {role} reads {setting}"
                    );
                }
            }
        }
    }
}

#[test]
fn shapes_carry_what_real_builds_surprise_with() {
    for shape in Shape::ALL {
        let (release, files) = (shape.release(), Shaped::of(shape));
        let ipv6 = files.0.get("dcos-config/bin/detect_ip6");
        let has_it = !["1.10", "1.11"].contains(&release);
        assert_eq!(ipv6, has_it.then_some(&(0o755, String::new())), "{release}");
        let master = files.units("master");
        assert_eq!(master.contains_key("dcos-spartan.service"), release == "1.10");
        assert_eq!(
            files.has("dcos-ui-update-service/dcos-ui-update-service-pre-start.sh"),
            ["1.13", "2.0", "2.1", "2.2"].contains(&release)
        );
        assert_eq!(
            files.has("calico/bin/start-calico-felix.sh"),
            ["2.1", "2.2"].contains(&release)
        );
        assert_eq!(files.has("dcos-diagnostics/bin/keep-mesos-state"), has_it);
    }
}
