//! A support bundle: what is in it, that no planted secret is, and that it can be had of any node.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use dcos_node::command::bundle;
use dcos_node::system::systemd::Fake;
use serde_json::{Value, json};
use support::build::Build;
use support::image::{Image, Mounted, Serve};

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

/// The files of a bundle by name.
fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(
        fs::File::open(path).expect("open the bundle"),
    ));
    let read = |mut entry: tar::Entry<'_, flate2::read::GzDecoder<fs::File>>| {
        let (name, mut text) = (entry.path().expect("a name").display().to_string(), String::new());
        entry.read_to_string(&mut text).expect("text");
        (name, text)
    };
    archive.entries().expect("an archive").map(|entry| read(entry.expect("an entry"))).collect()
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

#[test]
fn bundle_works_on_any_node_and_failures_suggest_it() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    // Nothing is installed, and the name is our own.
    fs::write(image.at("etc/hostname"), "node-7\n").expect("write");
    let place = image.at("bundles");
    fs::create_dir(&place).expect("make a directory");
    image
        .run(&["bundle", place.to_str().expect("UTF-8")])
        .ends(0, &[&["done:", "dcos-node-bundle-node-7-"], &["left out:", "docker credentials"]]);
    let made: Vec<_> =
        fs::read_dir(&place).expect("list").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(unpacked(&made[0]).contains_key("status.json"));

    // The journal cannot be followed, which stops every command that would go by it.
    image
        .run(&["install", "master", "--bootstrap-url", "/nowhere"])
        .ends(3, &[&["help:", "dcos-node bundle --root"]]);
    fs::create_dir_all(image.at("var/lib/dcos-node")).expect("make a directory");
    fs::write(image.at("var/lib/dcos-node/journal"), "garbage token=abc\n{}\n").expect("write");
    image
        .run(&["recover"])
        .ends(1, &[&["help:", "dcos-node bundle --root", "known secrets taken out"]]);
    let file = image.at("second.tar.gz");
    image.run(&["bundle", file.to_str().expect("UTF-8")]).ends(0, &[]);
    let files = unpacked(&file);
    assert_eq!(files["journal"], "garbage token=[redacted]\n{}\n");
    assert!(files["status.json"].contains("\"damaged\""), "{}", files["status.json"]);

    // Every command on a node offers one where it ends otherwise than hoped for, and not where a
    // bundle could tell nothing.
    let offers = |words: &[&str], code: i32| {
        let said = image.run(words);
        said.ends(code, &[]);
        assert_eq!(
            said.err.matches("  help:   dcos-node bundle --root ").count(),
            usize::from(code != 2),
            "{}",
            said.err
        );
    };
    offers(&["status"], 11);
    offers(&["verify"], 1);
    offers(&["adopt"], 1);
    offers(&["recover"], 1);
    offers(&["fetch", "--bootstrap-url", "/nowhere"], 1);
    offers(&["preflight", "master", "--bootstrap-url", "/nowhere"], 1);
    offers(&["uninstall", "--skip", "x"], 2);
    assert!(!image.run(&["publish", "/nowhere"]).err.contains("help:"));

    // For programs the same: what, why, how the node stands, what to do, and who could help.
    let document =
        |words: &[&str]| -> Value { serde_json::from_str(&image.run(words).out).expect("JSON") };
    let offer = format!("dcos-node bundle --root {}", image.path().display());
    let failure = document(&["recover", "--json"]);
    assert_eq!(
        (failure["code"].as_u64(), &failure["exit"], failure["help"].as_str()),
        (Some(1), &"failed".into(), Some(&*offer))
    );
    assert!(
        failure["error"]
            .as_str()
            .is_some_and(|error| error.contains("is damaged: line 1 of the journal")),
        "{failure:#}"
    );
    assert!(
        failure["cure"].as_str().is_some_and(|cure| cure.starts_with("restore it from a backup")),
        "{failure:#}"
    );
    assert_eq!(failure["state"], "nothing was changed");
    fs::remove_file(image.at("var/lib/dcos-node/journal")).expect("remove");
    let usage = document(&["install", "master", "--json"]);
    assert_eq!(
        (usage["code"].as_u64(), &usage["help"], usage["log"].as_array()),
        (Some(2), &Value::Null, None)
    );
    assert!(
        usage["cure"].as_str().is_some_and(|cure| cure.contains("--bootstrap-url")),
        "{usage:#}"
    );
    // A result that is not what was hoped for; and none that could be better.
    let refused = image.run(&["preflight", "master"]);
    assert_eq!(
        refused.code() == Some(3),
        refused.err.contains(&format!("  help:   {offer} collects")),
        "{}",
        refused.err
    );
    assert!(!image.run(&["status"]).ends(11, &[]).err.contains("help:"));
    image
        .run(&["bundle", "/proc/nowhere/x.tar.gz"])
        .ends(1, &[&["no bundle was written"], &["cure:", "dcos-node bundle FILE"]]);
}

/// Each distribution has another time daemon, and only those that are there are told of; that a
/// unit of DC/OS is absent tells something.
#[tokio::test]
async fn bundle_describes_only_the_clock_of_the_node() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    let units = image.at("etc/systemd/system");
    fs::create_dir_all(&units).expect("make a directory");
    for name in ["chrony.service", "containerd.service", "backup.service"] {
        fs::write(units.join(name), "[Service]\nExecStart=/bin/true\n").expect("write");
    }
    let world = image.world(Some(Ok(Arc::new(Fake::new(image.path())))));
    let file = image.at("bundle.tar.gz");
    // The same unit twice is one unit.
    let asked = ["backup.service", "chrony.service"].map(str::to_owned).to_vec();
    let request = bundle::Request { file: file.clone(), units: asked };
    bundle::run(&request, &world).await.expect("a bundle");
    let states: Value = serde_json::from_str(&unpacked(&file)["units.json"]).expect("JSON");
    let names: Vec<&str> =
        states.as_array().expect("units").iter().filter_map(|unit| unit["name"].as_str()).collect();
    assert!(names.ends_with(&[
        "dcos-setup.service",
        "dcos-download.service",
        "dcos-link-env.service",
        "containerd.service",
        "chrony.service",
        "backup.service"
    ]));
    assert!(!names.contains(&"chronyd.service") && !names.contains(&"docker.service"), "{names:?}");
}

/// A bundle takes the place of a bundle, of nothing else, and what cannot be written is not
/// collected first.
#[test]
fn bundle_overwrites_only_an_earlier_bundle() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    let bundle = |path: &Path| image.run(&["bundle", path.to_str().expect("UTF-8")]);
    let (other, precious) = (image.at("other.tar.gz"), image.at("etc/passwd"));
    fs::write(&other, "another archive").expect("write");
    for path in [&other, &precious] {
        let was = fs::read(path).expect("read");
        bundle(path)
            .ends(2, &[&["is no bundle that a new one could replace"], &["no bundle was written"]]);
        assert_eq!(fs::read(path).expect("read"), was);
    }
    // Whatever its name is.
    let first = image.at("first");
    bundle(&first).ends(0, &[]);
    bundle(&first).ends(0, &[]);
    image.run(&["bundle", "-"]).ends(2, &[&["is no file"]]);
    for name in ["../sshd.service", "a b", ""] {
        image.run(&["bundle", "--unit", name]).ends(2, &[&["--unit", "not the name of a unit"]]);
    }
    bundle(&image.at("nowhere/")).ends(2, &[&["is not a directory"]]);
    bundle(&image.at("nowhere/x.tar.gz"))
        .ends(1, &[&["cannot write into the directory", "nowhere", "No such file"]]);
    let place = image.at("read-only");
    fs::create_dir(&place).expect("make a directory");
    let mounted = Mounted::memory(&place, 1 << 20);
    mounted.read_only(true);
    bundle(&place)
        .ends(1, &[&["cannot write into the directory", "read-only"], &["Read-only file system"]]);
    drop(mounted);
    // Two within one second have names of their own.
    let place = image.at("many");
    fs::create_dir(&place).expect("make a directory");
    for _ in 0..3 {
        bundle(&place).ends(0, &[]);
    }
    assert_eq!(fs::read_dir(&place).expect("list").count(), 3);
}
