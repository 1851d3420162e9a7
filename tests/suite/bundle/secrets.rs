//! Secrets that are planted on a node are not in its bundle.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::build::Build;
use support::image::{Image, Serve};

use super::unpacked;

/// Every secret that is planted, as it would stand in a text.
const SECRETS: [&str; 14] = [
    "Xu7PlantedProxyPassword",
    "planted-exhibitor-password",
    "$6$rounds=656000$plantedsalt$plantedhashplantedhash",
    "planted-license-line",
    "cGxhbnRlZDpkb2NrZXJhdXRo",
    "planted-azure-account-key",
    "planted-zk-super",
    "planted-zk-agent",
    "MIIplantedprivatekeyplantedprivatekey",
    "AKIAPLANTEDPLANTED12",
    "eyJwbGFudGVkIjoxfQ.eyJwbGFudGVkIjoyfQ.cGxhbnRlZA",
    "planted-bootstrap-token",
    "planted-mesos-secret",
    "planted-in-an-override",
];

/// A build with a configuration package as DC/OS Enterprise has it, and every secret where it would
/// be.
fn enterprise() -> Build {
    let [
        proxy,
        exhibitor,
        hash,
        license,
        docker,
        azure,
        zk_super,
        zk_agent,
        key,
        aws,
        jwt,
        token,
        mesos,
        _,
    ] = SECRETS;
    let config = |build: Build, path: &str, mode: u32, text: String| {
        build.with_file("dcos-config", path, mode, &text)
    };
    let build = Build::fixture()
        .with_config("dcos_variant", "enterprise")
        .with_config("exhibitor_auth", "true")
        .with_config("exhibitor_admin_password", exhibitor)
        .with_config("superuser_password_hash", hash)
        .with_proxy(&format!("http://ann:{proxy}@proxy.example:3128"), "")
        .with_node_file(
            "/etc/mesosphere/docker_credentials",
            0o600,
            &format!("{{\"auths\":{{\"r.example\":{{\"auth\":\"{docker}\"}}}}}}\n"),
        );
    let build = config(build, "etc/license.txt", 0o600, format!("{license}\n"));
    let build = config(
        build,
        "etc/docker_credentials",
        0o600,
        format!("{{\"auths\":{{\"r\":{{\"auth\":\"{docker}\"}}}}}}\n"),
    );
    let build = config(
        build,
        "etc/exhibitor.properties",
        0o644,
        format!("com.netflix.exhibitor.azure.account-key={azure}\n"),
    );
    let build = config(
        build,
        "etc/exhibitor",
        0o644,
        format!("EXHIBITOR_BACKEND=AWS_S3\nAWS_ACCESS_KEY_ID={aws}\nNOTE=uses {aws} here\n"),
    );
    let user = format!(
        "security: strict\n\
         superuser_password_hash: {hash}\n\
         zk_super_credentials: super:{zk_super}\n\
         zk_agent_credentials: 'agent:{zk_agent}'\n\
         license_key_contents: |\n  {license}\n  {license}\n\
         cluster_docker_credentials:\n  auths:\n    r.example:\n      auth: {docker}\n\
         ca_certificate_key: |\n  -----BEGIN RSA PRIVATE KEY-----\n  {key}\n  -----END RSA PRIVATE \
         KEY-----\n\
         master_list: [10.0.0.1]\n"
    );
    let build = config(build, "etc/user.config.yaml", 0o644, user);
    let expanded = serde_json::json!({
        "bootstrap_token": token, "superuser_password_hash": hash,
        "iam": {"header": format!("Authorization: token={jwt}")},
        "mesos": format!("{{\"credentials\":[{{\"principal\":\"p\",\"secret\":\"{mesos}\"}}]}}"),
        "master_list": "[\"10.0.0.1\"]",
    });
    let build = config(build, "etc/expanded.config.json", 0o644, expanded.to_string());
    let build = config(build, "etc/adminrouter.env", 0o644, VARIABLES.to_owned());
    let build = config(build, "etc/dns_search_config", 0o644, COMMAND_LINES.to_owned());
    let build = config(build, "etc/telegraf.env", 0o644, YAML.to_owned());
    config(
        build,
        "etc/mesos-master",
        0o644,
        format!("MESOS_CREDENTIALS=file\nX=got {jwt} from iam\nMESOS_QUORUM=1\n"),
    )
}

/// Values in every form that YAML has for them; all that is secret has the word "planted" in it.
const YAML: &str = "ca_certificate_key: |2\n    planted\n   planted\n\
                    license_key_contents: | # planted\n  planted\n\
                    \n  planted\n\
                    superuser_password_hash: >+\n  planted\n\
                    bootstrap_token: &a |\n  planted\n\
                    iam_secret: !!str |\n  planted\n\
                    superuser_password: \"planted\n  planted\"\n\
                    exhibitor_admin_password: planted\n  planted\n\
                    zk_keys:\n\
                    - planted\n\
                    - planted\n\
                    env:\n\
                    - name: DB_PASSWORD\n  value: planted\n\
                    - name: DB_PORT\n  value: 5432\n\
                    docker: {HttpHeaders: {X-Meta: planted}}\n\
                    pass: planted\n\
                    zk_super_digest: planted\n\
                    zk_acl: {scheme: digest, id: \"super:planted\"}\n\
                    users:\n\
                    - {uid: ann, pwhash: planted}\n\
                    password = \"\"\"\n\
                    planted\n\
                    \"\"\"\n\
                    node_checks: 7\n";

/// Variables of other programs.
const VARIABLES: &str = "DB_PASS=planted\nMYSQL_PWD=planted\nKEY=planted\nPROXY=ann:planted/planted@proxy:3128\n\
                         SMTP=smtp://ann:it's-planted@mail.example:25/\nCALLBACK=http://h/cb?code=planted&state=on\nTOKEN=\"planted \
                         \\\n  planted\"\nADMINROUTER_PORT=80\n";

/// Command lines and sentences.
const COMMAND_LINES: &str = "A=java \
                             -Dzookeeper.DigestAuthenticationProvider.superDigest=super:planted \
                             -Xmx1g\n\
                             B=curl -u admin:planted http://h/\n\
                             C=curl --user ann:planted http://h/\n\
                             D=x --password \"planted planted\" --port 5\n\
                             E=x --token 'planted' --port 6\n\
                             F=addauth digest super:planted\n\
                             G=-H 'x-auth: bearer planted' --port 7\n\
                             H=the password is planted, and that is it\n\
                             I=acl digest:super:planted:cdrwa\n\
                             JAVA_OPTS=-Dzookeeper.DigestAuthenticationProvider.superDigest=super:planted \
                             -Xmx2g\n\
                             K=--password=planted\n\
                             L=-u ann:planted\n\
                             M=make_digest_acl(\"ann\",\"planted\")\n\
                             N=Adding auth digest b'super:planted'\n\
                             O=the secret 'planted'\n\
                             P=x -storepass planted -keystore /k\n";

/// The parts of a bundle in which something is planted.
const TOUCHED: [&str; 16] = [
    "receipt.json",
    "journal.damaged",
    "machine/hosts",
    "machine/docker-daemon.json",
    "units/dcos-mesos-master.service.d/local.conf",
    "units/docker.service.d/http-proxy.conf",
    "etc/adminrouter.env",
    // A comment, which is no field.
    "etc/dcos-check-runner.yaml",
    "etc/dns_search_config",
    "etc/exhibitor",
    "etc/expanded.config.json",
    "etc/mesos-master",
    "etc/proxy.env",
    "etc/telegraf.env",
    "etc/user.config.yaml",
    "node/mesos-slave-common-override",
];

/// What operators and other programs leave beside DC/OS.
fn plant_beside(image: &Image) {
    for (path, text) in [
        (
            "etc/systemd/system/docker.service.d/http-proxy.conf",
            "[Service]\n\
             Environment=\"HTTP_PROXY=http://ann:planted@proxy.example:3128/\" \
             \"NO_PROXY=localhost\"\n\
             Environment='DB_PASS=planted'\n\
             Environment=\"JVM=-Djavax.net.ssl.keyStorePassword=planted\" \"LANG=C\"\n",
        ),
        (
            "etc/systemd/system/dcos-mesos-master.service.d/local.conf",
            "[Service]\nExecStartPre=/opt/check --password planted \\\n  --port \
             5\nSetCredential=db:planted\n",
        ),
        (
            "etc/docker/daemon.json",
            r#"{"log-level": "warn", "HttpHeaders": {"X": "planted"}, "proxies": {"http-proxy": "http://ann:planted@proxy.example:3128"},
                "auths": {"http://ann:planted@r.example": {"auth": "cGxhbnRlZDpkb2NrZXJhdXRo"}}, "exec-opts": ["--token", "planted", "A=--token=planted"],
                "acl": {"id": "super:planted", "scheme": "digest"}, "zk_super_digest_jvmflags": "JVMFLAGS=-Dx.superDigest=super:planted"}"#,
        ),
        ("etc/hosts", "127.0.0.1 localhost\n# the password is planted\n"),
    ] {
        let path = image.at(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        fs::write(path, text).expect("write");
    }
}

#[test]
fn bundle_has_the_useful_text_and_no_planted_secret() {
    if !support::is_root() {
        return;
    }
    let (image, serve) = (Image::new(), Serve::of(&enterprise()));
    fs::write(image.at("etc/group"), "root:x:0:\nsystemd-journal:x:101:\ndocker:x:102:\n")
        .expect("write");
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    fs::create_dir_all(image.at("var/lib/dcos")).expect("make a directory");
    fs::write(
        image.at("var/lib/dcos/mesos-slave-common"),
        format!("MESOS_ATTRIBUTES=rack:1\nMY_PASSWORD={}\n", SECRETS[13]),
    )
    .expect("write");
    plant_beside(&image);
    let receipt =
        fs::read_to_string(image.at("var/lib/dcos-node/receipt.json")).expect("the receipt");
    assert!(
        receipt.contains(SECRETS[4]),
        "the receipt holds the node file, so the test plants something there"
    );

    // A journal that was put aside, torn in the middle of a record that holds a secret.
    let told: Value = serde_json::from_str(&receipt).expect("JSON");
    let intent = json!({ "command": "install", "build": told["build"] });
    let record = json!({ "record": "asked", "at": "", "intent": intent }).to_string();
    let torn = record
        .find(SECRETS[4])
        .map(|at| &record[..at + SECRETS[4].len() - 2])
        .expect("it holds the secret");
    fs::write(image.at("var/lib/dcos-node/journal.damaged"), torn).expect("write");

    let file = image.at("bundle.tar.gz");
    let said = image.run(&["bundle", file.to_str().expect("UTF-8"), "--json"]);
    said.ends(0, &[]);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(told["file"].as_str(), file.to_str());
    assert_eq!(told["bytes"].as_u64(), Some(fs::metadata(&file).expect("the bundle").len()));
    assert_eq!(fs::metadata(&file).expect("the bundle").permissions().mode() & 0o7777, 0o600);
    assert!(told["redacted"].as_u64() > Some(10), "{told:#}");

    let files = unpacked(&file);
    for (name, text) in &files {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in {name}:\n{text}");
        }
        assert!(
            !text.contains(&SECRETS[4][..SECRETS[4].len() - 2]),
            "the torn secret is in {name}:\n{text}"
        );
        assert!(
            !text.to_lowercase().contains("planted"),
            "something that was planted is in {name}:\n{text}"
        );
    }
    for name in [
        "contents.json",
        "preflight.json",
        "status.json",
        "verify.json",
        "receipt.json",
        "journal",
        "journal.damaged",
        "etc/user.config.yaml",
        "etc/proxy.env",
    ] {
        assert!(files.contains_key(name), "{name} is not in {:?}", files.keys());
    }
    // What it is for is still to be read.
    assert!(
        files["etc/user.config.yaml"].contains("security: strict")
            && files["etc/user.config.yaml"].contains("master_list: [10.0.0.1]")
    );
    assert!(
        files["etc/proxy.env"].contains("proxy.example:3128")
            && files["etc/mesos-master"].contains("MESOS_QUORUM=1")
    );
    assert!(files["node/mesos-slave-common-override"].contains("MESOS_ATTRIBUTES=rack:1"));
    assert!(files["receipt.json"].contains("/etc/mesosphere/docker_credentials"));
    for (name, stays) in [
        ("etc/telegraf.env", "node_checks: 7"),
        ("etc/telegraf.env", "value: 5432"),
        ("etc/adminrouter.env", "ADMINROUTER_PORT=80"),
        ("etc/dns_search_config", "--port 5"),
        ("etc/dns_search_config", "-Xmx2g"),
        ("etc/dns_search_config", "-keystore /k"),
        ("units/docker.service.d/http-proxy.conf", "LANG=C"),
        ("units/docker.service.d/http-proxy.conf", "proxy.example:3128"),
        ("units/dcos-mesos-master.service.d/local.conf", "--port 5"),
        ("units/dcos-setup.service", "recover"),
        ("units/dcos-mesos-master.service", "[Service]"),
        ("machine/docker-daemon.json", "proxy.example:3128"),
    ] {
        assert!(
            files.get(name).is_some_and(|text| text.contains(stays)),
            "{stays} is not in {name}:\n{:?}",
            files.get(name)
        );
    }
    // What names a build stays in every part that has it.
    let id = serve.packed.id("mesos");
    assert!(
        files["receipt.json"].contains(id)
            && files["status.json"].contains(serve.packed.id("dcos-config")),
        "{id} is gone"
    );
    let contents: Value = serde_json::from_str(&files["contents.json"]).expect("JSON");
    // What has no secret in it stays whole: our own documents, the texts of units, the rest of the
    // configuration.
    let parts = contents["parts"].as_array().expect("parts");
    let touched: Vec<&str> = parts
        .iter()
        .filter(|part| part["redacted"] != 0)
        .filter_map(|part| part["name"].as_str())
        .collect();
    assert_eq!(touched, TOUCHED);
    let units = parts.iter().find(|part| part["name"] == "units.json").expect("units.json");
    assert_eq!(units["missing_because"], "the node is a directory");
}
