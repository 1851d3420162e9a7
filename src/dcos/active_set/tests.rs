use super::*;
use crate::dcos::package::Member;
use crate::dcos::pkginfo::PackageInfo;

fn package(id: &str, info: &str, members: &[&str], services: &[&str]) -> Package {
    let members = members.iter().map(|text| {
        let (top, path) = text.split_once('/').unwrap();
        Member { top: top.into(), path: path.into(), directory: false }
    });
    let info = PackageInfo::parse(info.as_bytes()).unwrap();
    Package {
        id: id.parse().unwrap(),
        info,
        buildinfo: None,
        members: members.collect(),
        services: services.iter().map(|s| s.to_string()).collect(),
    }
}

#[test]
fn every_problem_of_a_set_is_reported_at_once() {
    let problems = ActiveSet::new(
        vec![
            package(
                "a--1",
                r#"{"requires":["nowhere"],"environment":{"PATH":"/","X":"1"},"group":"g"}"#,
                &["bin/x"],
                &[],
            ),
            package(
                "a--2",
                r#"{"environment":{"X":"2"},"sysctl":{"s":{"vm.swappiness":1}}}"#,
                &["bin/x", "dcos.target.wants/dcos-setup.service", "dcos.target.wants/notes.txt"],
                &[],
            ),
            package(
                "b--1",
                r#"{"username":"dcos_u","group":"g1","sysctl":{"s":{"vm.swappiness":"1"}}}"#,
                &["etc/dcos-service-configuration.json"],
                &["s"],
            ),
            package("c--1", r#"{"username":"dcos_u","group":"g2"}"#, &[], &[]),
        ],
        Role::Master,
    )
    .unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        "a--1 and a--2 are two versions",
        "requires nowhere",
        "a--1 has `group` without `username`",
        "another package in g1",
        "sets PATH, which is reserved",
        "both set X",
        "a--2 has `sysctl` but no service",
        "b--1 sets vm.swappiness to \"1\"",
        "bin/x is in a--1 and in a--2",
    ] {
        assert!(texts.iter().any(|t| t.contains(expected)), "{expected} is not in {texts:#?}");
    }
    let problems = ActiveSet::new(
        vec![package(
            "a--2",
            "{}",
            &[
                "dcos.target.wants/dcos-setup.service",
                "dcos.target.wants/notes.txt",
                "etc/dcos-service-configuration.json",
            ],
            &[],
        )],
        Role::Slave,
    )
    .unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_shared_user_takes_the_group_that_one_package_names() {
    let set = ActiveSet::new(
        vec![
            package("a--1", r#"{"username":"dcos_u"}"#, &[], &[]),
            package("b--1", r#"{"username":"dcos_u","group":"g"}"#, &[], &[]),
        ],
        Role::Slave,
    )
    .unwrap();
    assert_eq!(
        set.accounts().into_iter().collect::<Vec<_>>(),
        [Account { user: "dcos_u".into(), group: Some("g".into()) }]
    );
}

#[test]
fn json_is_written_as_python_writes_it() {
    let value = serde_json::json!({"b": [], "a": {"x": [1, "é😀"], "e": {}}, "c": null});
    assert_eq!(
        python_json(&value),
        "{\n  \"a\":{\n    \"e\":{},\n    \"x\":[\n      1,\n      \"\\u00e9\\ud83d\\ude00\"\n    \
         ]\n  },\n  \"b\":[],\n  \"c\":null\n\
         }"
    );
}

#[test]
fn settings_of_absent_services_are_dropped() {
    let set = ActiveSet::new(
        vec![package(
            "a--1",
            r#"{"sysctl":{"here":{"a.b":1},"absent":{"c.d":2}}}"#,
            &[],
            &["here"],
        )],
        Role::Slave,
    )
    .unwrap();
    assert_eq!(
        set.service_configuration(),
        "{\n  \"sysctl\":{\n    \"here\":{\n      \"a.b\":1\n    }\n  }\n}"
    );
}
