//! Whoever does what a refusal names as its fix comes to an end: the command succeeds after a few
//! steps, and no two commands name each other. Every refusal of install, adopt, uninstall and
//! recover has a case here, or a reason why it has none.

mod places;

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use serde_json::Value;
use support::build::Build;
use support::image::{Image, Serve};

/// What an operator may type for a fix besides commands of dcos-node.
const SHELL: [&str; 2] = ["mv ", "umount "];
/// More fixes than this are a dead end.
const MAX_STEPS: usize = 4;
/// Where builds from 2.0 on put a certificate.
const CERTIFICATE: &str = "/tmp/root-cert.pem";
const PROGRESS: &str = "opt/mesosphere/install_progress";

/// Serve directories that nodes are offered.
struct Bench {
    first: Serve,
    other: Serve,
    unusual: Serve,
    certificate: Serve,
}

impl Bench {
    fn new() -> Bench {
        let other = Build::tiny().with_file("files", "etc/other", 0o644, "another build\n");
        let unusual = Build::tiny().with_node_file("/srv/unusual", 0o644, "text\n");
        let text = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n";
        let certificate = Build::tiny().with_node_file(CERTIFICATE, 0o644, text);
        let builds = [Build::tiny(), other, unusual, certificate];
        let [first, other, unusual, certificate] = builds.map(|build| Serve::of(&build));
        Bench { first, other, unusual, certificate }
    }

    fn installed(&self) -> Image {
        let image = image();
        image.install(self.first.url(), &[]).ends(0, &[]);
        image
    }

    /// An installed node without our records, as another installer would leave it.
    fn anothers(&self) -> Image {
        let image = self.installed();
        for ours in ["var/lib/dcos-node", "opt/dcos-node"] {
            fs::remove_dir_all(image.at(ours)).expect("remove what is ours");
        }
        let setup = "[Service]\nExecStart=/opt/mesosphere/bin/pkgpanda setup\n";
        fs::remove_file(image.at(SETUP)).expect("remove what is ours");
        fs::write(image.at(SETUP), setup).expect("write");
        image
    }

    /// A node on which a command was killed where it starts this program.
    fn killed(image: Image, command: &[&str], program: &str) -> Image {
        let killed = image.with("DCOS_NODE_FAULT", format!("kill Spawn 1 /usr/sbin/{program}"));
        assert_eq!(killed.run(command).code(), None, "it was not killed");
        killed.without("DCOS_NODE_FAULT")
    }

    fn half_installed(&self) -> Image {
        let install = ["install", "master", "--bootstrap-url", self.first.url()];
        Bench::killed(image(), &install, "useradd")
    }

    fn half_uninstalled(&self) -> Image {
        Bench::killed(self.installed(), &["uninstall"], "userdel")
    }
}

const SETUP: &str = "etc/systemd/system/dcos-setup.service";
const WANTS: &str = "etc/systemd/system/dcos.target.wants";

fn image() -> Image {
    let image = Image::new();
    fs::create_dir(image.at("root")).expect("make a directory");
    image
}

/// A refusal, and how it is left.
struct Case {
    name: &'static str,
    /// Makes the node.
    node: fn(&Bench) -> Image,
    /// What is refused; `{first}`, `{other}` and `{unusual}` are serve directories.
    command: &'static str,
    /// The fixes that an operator takes, in this order of preference: texts that the refusals must
    /// have. A command of dcos-node or of [`SHELL`] is run as it is written; everything else is a
    /// deed of [`deed`].
    fixes: &'static [&'static str],
}

const fn case(
    name: &'static str,
    node: fn(&Bench) -> Image,
    command: &'static str,
    fixes: &'static [&'static str],
) -> Case {
    Case { name, node, command, fixes }
}

const INSTALL: &str = "install master --bootstrap-url {first}";

const CASES: [Case; 29] = [
    case(
        "another role",
        Bench::installed,
        "install slave --bootstrap-url {first}",
        &["dcos-node install master"],
    ),
    case(
        "another build",
        Bench::installed,
        "install master --bootstrap-url {other}",
        &["leave the node as it is"],
    ),
    case(
        "another interrupted build",
        Bench::half_installed,
        "install master --bootstrap-url {other}",
        &["dcos-node uninstall"],
    ),
    case(
        "another interrupted build, which goes on",
        Bench::half_installed,
        "install master --bootstrap-url {other}",
        &["dcos-node recover", "leave the node as it is"],
    ),
    case("another DC/OS", Bench::anothers, INSTALL, &["dcos-node adopt"]),
    case(
        "a part of another DC/OS",
        |bench| {
            let image = bench.anothers();
            fs::remove_dir_all(image.at(WANTS)).expect("remove");
            fs::remove_dir_all(image.at("opt/mesosphere/active")).expect("remove");
            image
        },
        INSTALL,
        &["dcos-node uninstall"],
    ),
    case(
        "a directory that DC/OS left empty",
        |_| {
            let image = image();
            fs::create_dir_all(image.at("etc/mesosphere/roles")).expect("make a directory");
            image
        },
        INSTALL,
        &["dcos-node uninstall"],
    ),
    case(
        "something strange",
        |_| {
            let image = image();
            fs::create_dir_all(image.at("opt/mesosphere")).expect("make a directory");
            fs::write(image.at("opt/mesosphere/notes"), "").expect("write");
            image
        },
        INSTALL,
        &["mv /opt/mesosphere/notes /root/"],
    ),
    case(
        "a link that leads nowhere",
        |_| {
            let image = image();
            symlink("/nowhere/dcos.target.wants", image.at(WANTS)).expect("link");
            image.run(&["verify"]).ends(11, &[]);
            image
        },
        INSTALL,
        &["mv /etc/systemd/system/dcos.target.wants /root/"],
    ),
    case(
        "a file where a directory belongs",
        |_| {
            let image = image();
            fs::write(image.at("etc/mesosphere"), "").expect("write");
            image
        },
        INSTALL,
        &["mv /etc/mesosphere /root/"],
    ),
    case(
        "identity of an installed node",
        Bench::installed,
        "install master --bootstrap-url {first} --reset-identity",
        &["leave out --reset-identity"],
    ),
    case(
        "an edited file beside a missing one",
        |bench| {
            let image = bench.installed();
            let package = format!("opt/mesosphere/packages/{}", bench.first.packed.id("files"));
            fs::write(image.at(format!("{package}/pkginfo.json")), "{} ").expect("write");
            fs::remove_file(image.at(format!("{package}/bin/set-user-id"))).expect("remove");
            image
        },
        INSTALL,
        &["move what is named elsewhere"],
    ),
    case(
        "an unusual node file",
        |_| image(),
        "install master --bootstrap-url {unusual}",
        &["--allow-file /srv/unusual"],
    ),
    case(
        "a swap to another build",
        |bench| {
            let image = bench.installed();
            fs::write(image.at(PROGRESS), PROGRESS_OF_PKGPANDA).expect("write");
            image
        },
        "install master --bootstrap-url {other}",
        &["dcos-node recover", "leave the node as it is"],
    ),
    case(
        "a swap whose record a power cut emptied",
        |bench| {
            let image = bench.installed();
            fs::write(image.at(PROGRESS), "").expect("write");
            image
        },
        "recover",
        &[],
    ),
    case(
        "a swap of another program",
        |bench| {
            let image = bench.installed();
            fs::write(image.at(PROGRESS), "fly").expect("write");
            image
        },
        INSTALL,
        &["mv /opt/mesosphere/install_progress /root/"],
    ),
    case(
        "a swap that lost a name",
        |bench| {
            let image = bench.anothers();
            fs::write(image.at(PROGRESS), PROGRESS_OF_PKGPANDA).expect("write");
            fs::remove_dir_all(image.at("opt/mesosphere/lib")).expect("remove");
            image
        },
        "adopt",
        &["dcos-node uninstall", "dcos-node install ROLE"],
    ),
    case("nothing to adopt", |_| image(), "adopt", &["dcos-node install ROLE"]),
    case("an unfinished install", Bench::half_installed, "adopt", &["dcos-node recover"]),
    case(
        "an unfinished uninstall",
        Bench::half_uninstalled,
        "adopt",
        &["dcos-node recover", "dcos-node install ROLE"],
    ),
    case(
        "a part that cannot be adopted",
        |bench| {
            let image = bench.anothers();
            fs::remove_dir_all(image.at("opt/mesosphere/active")).expect("remove");
            image
        },
        "adopt",
        &["dcos-node uninstall", "dcos-node install ROLE"],
    ),
    case(
        "a mount in what is removed",
        |bench| {
            let image = bench.installed();
            let at = image.at("opt/mesosphere/bin");
            mount(Some(&at), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("mount");
            image
        },
        "uninstall",
        &["umount "],
    ),
    case("a purge without consent", Bench::installed, "uninstall --purge-data", &["say --yes too"]),
    case(
        "a damaged journal",
        |bench| {
            let image = bench.installed();
            fs::write(image.at("var/lib/dcos-node/journal"), "not a journal\n").expect("write");
            image
        },
        "recover",
        &["mv /var/lib/dcos-node/journal /root/"],
    ),
    case(
        "a damaged record of a half install",
        |bench| {
            let image = bench.half_installed();
            fs::write(image.at("var/lib/dcos-node/journal"), "not a journal\n").expect("write");
            image
        },
        INSTALL,
        &["dcos-node uninstall"],
    ),
    case(
        "a file of somebody else",
        |_| {
            let image = image();
            let file = image.at(&CERTIFICATE[1..]);
            fs::create_dir(image.at("tmp")).expect("make a directory");
            fs::set_permissions(image.at("tmp"), Permissions::from_mode(0o1777)).expect("open");
            fs::write(&file, "").expect("write");
            chown(&file, Some(65_534), Some(65_534)).expect("give away");
            image
        },
        "install master --bootstrap-url {certificate}",
        &["mv /tmp/root-cert.pem /root/"],
    ),
    case(
        "a process in what is removed",
        |bench| {
            let image = bench.installed();
            let sleeps = ["-c", "sleep 60 >/dev/null 2>&1 &"];
            let inside = image.at("opt/mesosphere/bin");
            let started = Command::new("sh").args(sleeps).current_dir(inside).status();
            assert!(started.expect("run sh").success());
            image
        },
        "uninstall",
        &["end that process"],
    ),
    case(
        "a damaged receipt",
        |bench| {
            let image = bench.installed();
            fs::write(image.at("var/lib/dcos-node/receipt.json"), "{").expect("write");
            image
        },
        INSTALL,
        &["mv /var/lib/dcos-node/receipt.json /root/", "dcos-node adopt"],
    ),
    // The last: it publishes the build.
    case(
        "digests that are missing",
        |_| image(),
        "install master --bootstrap-url {first} --require-digests",
        &["dcos-node publish DIR"],
    ),
];

const PROGRESS_OF_PKGPANDA: &str = r#"{"stage": "move_new", "extension": ".new"}"#;

/// Runs a command until it succeeds, and before each further time the first fix that its refusal
/// names.
fn follow(bench: &Bench, image: &Image, command: &str, case: &Case, taken: &mut Vec<String>) {
    let mut command = command.to_owned();
    loop {
        let words = command
            .replace("{first}", bench.first.url())
            .replace("{other}", bench.other.url())
            .replace("{unusual}", bench.unusual.url())
            .replace("{certificate}", bench.certificate.url());
        let words: Vec<&str> = words.split_whitespace().chain(["--json"]).collect();
        let said = image.run(&words);
        if said.code() == Some(0) {
            return;
        }
        let report: Value = serde_json::from_str(&said.out).expect("JSON");
        let fix = report["cure"].as_str().expect("a fix");
        let name = case.name;
        assert!(taken.len() < MAX_STEPS, "{name}: no end after {taken:?}: {fix}");
        let step = case.fixes.iter().find(|step| fix.contains(**step));
        let step = *step.unwrap_or_else(|| panic!("{name}: {command} has another fix: {fix}"));
        let again = format!("{command}: {step}");
        assert!(!taken.contains(&again), "{name}: {again} is named again");
        taken.push(again);
        match step {
            "leave the node as it is" => return,
            "leave out --reset-identity" => command = command.replace(" --reset-identity", ""),
            "say --yes too" => command.push_str(" --yes"),
            "--allow-file /srv/unusual" => command.push_str(" --allow-file /srv/unusual"),
            "move what is named elsewhere" => {
                let text = report["error"].as_str().expect("a text");
                let (_, paths) = text.rsplit_once(": ").expect("paths");
                for path in paths.split("; ") {
                    fs::rename(image.at(&path[1..]), image.at("root/moved")).expect("move");
                }
            }
            "end that process" => {
                let text = report["error"].as_str().expect("a text");
                let number = text.split(' ').nth(1).expect("a process");
                let ended = Command::new("kill").arg(number).status().expect("run kill");
                assert!(ended.success(), "{name}: {text}");
            }
            "dcos-node publish DIR" => {
                let directory = bench.first.path();
                let publish = ["publish", "--bootstrap-url", "http://192.0.2.1/"];
                let mut publish = publish.to_vec();
                publish.push(directory.to_str().expect("UTF-8"));
                image.run(&publish).ends(0, &[]);
                let program = directory.join("dcos-node");
                let said = image.run_with(&program, &words);
                said.ends(0, &[]);
                return;
            }
            step if SHELL.iter().any(|word| step.starts_with(word)) => {
                let root = image.path().display();
                // The command as the fix has it, to the end of its arguments.
                let typed = &fix[fix.find(step).expect("it is there")..];
                let typed = typed.split([';', ',']).next().expect("a command");
                let typed =
                    typed.replace(&format!(" {root}"), " ").replace(" /", &format!(" {root}/"));
                let status = Command::new("sh").args(["-c", &typed]).status().expect("run sh");
                assert!(status.success(), "{name}: {typed}");
            }
            step => {
                let typed = step.strip_prefix("dcos-node ").expect("a command of ours");
                let mut typed = typed.replace("ROLE", "master");
                if typed.starts_with("install") {
                    typed.push_str(" --bootstrap-url {first}");
                }
                follow(bench, image, &typed, case, taken);
                // Another command that brings the node to its end takes the place of this one.
                if step.starts_with("dcos-node install") {
                    return;
                }
            }
        }
    }
}

#[test]
fn fixes_of_every_refusal_lead_to_success() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    for case in &CASES {
        eprintln!("=== {}", case.name);
        let image = (case.node)(&bench);
        let mut taken = Vec::new();
        follow(&bench, &image, case.command, case, &mut taken);
        assert_eq!(taken.is_empty(), case.fixes.is_empty(), "{}: nothing was refused", case.name);
    }
}
