//! What belongs to the operator is kept, and stops an uninstall where it is in use.

use std::path::Path;
use std::process::Command;

use support::build::Build;
use support::classic::Image;
use support::tree::Snapshot;

use super::{ends, json, run, seen};

#[test]
fn operator_file_in_a_dcos_directory_is_kept() {
    if !support::is_root() {
        return;
    }
    let image = Image::clean();
    image.write("etc/mesosphere/manual_host_users", "");
    image.write("etc/mesosphere/notes/of-ann.txt", "theirs");
    ends(&run(&image, &["status"]), 11, &["DC/OS is not installed"]);
    ends(
        &run(&image, &["uninstall"]),
        0,
        &["nothing was changed", "/etc/mesosphere/notes (not DC/OS')"],
    );
    // Beside it the installer began, and was killed.
    let before = Snapshot::of(image.root());
    std::fs::create_dir(image.at("etc/mesosphere/setup-flags")).expect("make a directory");
    ends(
        &run(&image, &["status"]),
        11,
        &["a part of DC/OS, not installed by dcos-node", "/etc/mesosphere/setup-flags"],
    );
    ends(
        &run(&image, &["uninstall"]),
        0,
        &[
            "/etc/mesosphere/notes (not DC/OS')",
            "/etc/mesosphere/manual_host_users (of an operator)",
        ],
    );
    assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
}

#[test]
fn operator_files_are_kept_and_reported() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("slave", "slave");
    let kept = [
        ("etc/mesosphere/mesos/agent.env", "of an operator"),
        ("opt/mesosphere/notes.txt", "not DC/OS'"),
        ("etc/systemd/system/dcos-net.service.d/override.conf", "a drop-in of an operator"),
        (
            "etc/systemd/system.control/dcos-net.service.d/50-CPUWeight.conf",
            "50-CPUWeight.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system.control/dcos-net.service.d/50-MemoryMax.conf",
            "50-MemoryMax.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system/dcos-mesos-slave.service.d/nice.conf",
            "nice.conf (a drop-in of an operator",
        ),
        (
            "run/systemd/system/dcos-mesos-slave.service",
            "dcos-mesos-slave.service (a unit of an operator, in the place of DC/OS' own",
        ),
        ("opt/dcos_install_tmp/x", "/opt/dcos_install_tmp"),
    ];
    for (path, _) in kept {
        image.write(path, "theirs");
    }
    image.link(
        "etc/systemd/system/dcos.target.wants/operators.service",
        "/etc/systemd/system/operators.service",
    );
    image.link("run/systemd/system/dcos-telegraf.service", "/dev/null");
    image.write("run/systemd/system/ssh.service.d/other.conf", "not of DC/OS");
    image.link("var/lib/mesos", "/data");
    image.write("data/volume", "theirs");
    image.rename("opt/mesosphere", "disk");
    image.link("opt/mesosphere", "../disk");
    let output = run(&image, &["uninstall", "--purge-data", "--yes"]);
    ends(
        &output,
        0,
        &[
            "which DC/OS' target wants",
            "what it leads to is not removed",
            "a link that was there before",
        ],
    );
    for (path, why) in kept {
        ends(&output, 0, &[why]);
        assert_eq!(image.read(path), "theirs");
    }
    assert_eq!(image.read("data/volume"), "theirs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("other.conf"));
    // Now that nothing of DC/OS is there, an install would still meet them.
    let met = [
        "dcos-telegraf.service (masked by an operator",
        "50-CPUWeight.conf",
        "50-MemoryMax.conf",
        "nice.conf",
    ];
    ends(&output, 0, &met);
    ends(&run(&image, &["uninstall"]), 0, &met);
    assert!(
        image.has("etc/systemd/system/dcos.target.wants/operators.service")
            && image.has("etc/systemd/system/operators.service")
    );
    assert!(
        !image.has("var/lib/dcos")
            && !image.has("opt/mesosphere/packages")
            && !image.has("etc/systemd/system/dcos-net.service")
    );
}

#[test]
fn unit_that_only_has_a_dcos_name_belongs_to_the_operator() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    let unit = "etc/systemd/system/dcos-custom.service";
    let wants = "etc/systemd/system/dcos.target.wants/dcos-custom.service";
    image.write(unit, "[Service]\nExecStart=/opt/mesosphere/bin/python /home/ann/custom\n");
    image.link(wants, "/etc/systemd/system/dcos-custom.service");
    image.write("etc/systemd/system/dcos-custom.socket", "[Socket]\nListenStream=1\n");
    let theirs = Snapshot::of(&image.at("etc/systemd/system"));
    let told = [
        "dcos-custom.service (named like a unit of DC/OS, but no package",
        "dcos-custom.socket",
        "which DC/OS' target wants",
    ];
    ends(&run(&image, &["uninstall"]), 0, &told);
    assert!(image.has(unit) && image.has(wants));
    // Now that no package is there to tell.
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &told);
    let left = Snapshot::of(&image.at("etc/systemd/system")).changes_since(&theirs);
    assert!(!left.iter().any(|change| change.contains("custom")), "{left:#?}");
}

#[test]
fn uninstall_with_a_mount_or_a_file_in_use_removes_nothing() {
    if !support::is_root() {
        return;
    }
    let image = Image::golden("master", "master");
    image.write("var/lib/dcos/exhibitor/snapshot", "state");
    let before = Snapshot::of(image.root());
    let purge = ["uninstall", "--purge-data", "--yes"];
    let mut user = Command::new("sleep")
        .arg("1000")
        .current_dir(image.at("var/lib/dcos/exhibitor"))
        .spawn()
        .expect("sleep");
    let used = loop {
        // Until it is sleep, it is this test.
        let output = run(&image, &purge);
        if String::from_utf8_lossy(&output.stderr).contains("(sleep)") || output.status.success() {
            break output;
        }
    };
    let pid = user.id().to_string();
    user.kill().and_then(|()| user.wait()).expect("end it");
    ends(&used, 5, &[&pid, "(sleep) has its working directory in", "nothing was changed"]);
    assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
    let mount = |arguments: &[&std::ffi::OsStr], program: &str| {
        Command::new(program).args(arguments).status().expect(program).success()
    };
    std::fs::create_dir(image.at("var/lib/dcos/exhibitor/deep")).expect("a mount point");
    let before = Snapshot::of(image.root());
    let point = image.at("var/lib/dcos/exhibitor/deep");
    if mount(&["--bind".as_ref(), image.at("usr").as_os_str(), point.as_os_str()], "mount") {
        let output = run(&image, &purge);
        assert!(mount(&[point.as_os_str()], "umount"));
        ends(
            &output,
            5,
            &["a file system is mounted at", "umount", "what is on that file system stays on it"],
        );
        assert_eq!(Snapshot::of(image.root()).changes_since(&before), Vec::<String>::new());
    }
    let kept = json(&run(&image, &["uninstall", "--json"]));
    assert!(
        kept["kept"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|d| d["path"] == "/var/lib/dcos/exhibitor" && d["bytes"] == 5),
        "{kept}"
    );
    ends(&run(&image, &purge), 0, &[]);
    assert!(!image.has("var/lib/dcos"));
    ends(&run(&image, &purge), 0, &["nothing was changed"]);
}

#[test]
fn resolv_conf_is_restored_or_gets_the_upstream_resolvers() {
    if !support::is_root() {
        return;
    }
    const WRITTEN: &str = "# Generated by gen_resolvconf.py. Do not edit.\n\
                           search x.example\n\
                           nameserver 198.51.100.1\n";
    let directory = tempfile::tempdir().expect("a directory");
    Build::tiny().pack(directory.path());
    let install =
        ["install", "master", "--bootstrap-url", directory.path().to_str().expect("UTF-8")];
    // A link, as systemd-resolved has it.
    let image = Image::clean();
    image.remove("etc/resolv.conf");
    image.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
    ends(&run(&image, &install), 0, &[]);
    image.remove("etc/resolv.conf");
    image.write("etc/resolv.conf", WRITTEN);
    image.write("etc/resolv.conf.tmp", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &[]);
    assert_eq!(
        std::fs::read_link(image.at("etc/resolv.conf")).expect("a link"),
        Path::new("../run/systemd/resolve/stub-resolv.conf")
    );
    assert!(!image.has("etc/resolv.conf.tmp"));
    // A file that is mounted there.
    let image = Image::clean();
    ends(&run(&image, &install), 0, &[]);
    image.write("mounted", WRITTEN);
    let (from, to) = (image.at("mounted"), image.at("etc/resolv.conf"));
    if Command::new("mount").arg("--bind").args([&from, &to]).status().expect("mount").success() {
        let output = run(&image, &["uninstall"]);
        let left = image.read("etc/resolv.conf");
        assert!(Command::new("umount").arg(&to).status().expect("umount").success());
        ends(&output, 0, &[]);
        assert_eq!(left, "nameserver 192.0.2.1\n");
    }
    an_immutable_file_is_changed_only_if_dcos_wrote_it(&install, WRITTEN);
    // No record: the resolvers that DC/OS asked.
    let image = Image::golden("master", "master");
    image.write("etc/resolv.conf", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &["what stood there before is not known"]);
    let text = image.read("etc/resolv.conf");
    assert!(
        text.contains("\nsearch ")
            && text.contains("\nnameserver ")
            && !text.contains("198.51.100"),
        "{text}"
    );
    // Nothing else is left of DC/OS: its header is enough.
    let image = Image::clean();
    image.write("etc/resolv.conf", &format!("{WRITTEN}nameserver 192.0.2.53\n"));
    ends(&run(&image, &["status"]), 11, &["a part of DC/OS"]);
    ends(&run(&image, &["uninstall"]), 0, &["it gets the resolvers that DC/OS asked"]);
    let text = image.read("etc/resolv.conf");
    assert!(
        text.ends_with("search x.example\nnameserver 192.0.2.53\n")
            && !text.contains("gen_resolvconf"),
        "{text}"
    );
    // Nobody knows what to write: told, and left.
    image.write("etc/resolv.conf", WRITTEN);
    ends(&run(&image, &["uninstall"]), 0, &["nothing was changed", "name some by hand"]);
}

#[test]
fn purge_asks_on_a_terminal_and_accepts_only_yes() {
    if !support::is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Build::tiny().pack(directory.path());
    let image = Image::clean();
    ends(
        &run(
            &image,
            &["install", "master", "--bootstrap-url", directory.path().to_str().expect("UTF-8")],
        ),
        0,
        &[],
    );
    image.write("var/lib/dcos/exhibitor/log", "12345");
    // `script` gives the program a terminal of its own, types what it reads, and at its end the
    // character that ends the input.
    let typed = |text: &str| {
        let command = format!(
            "{} uninstall --purge-data --root {}",
            env!("CARGO_BIN_EXE_dcos-node"),
            image.root().display()
        );
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("start script");
        std::io::Write::write_all(&mut script.stdin.take().expect("its input"), text.as_bytes())
            .expect("type");
        script.wait_with_output().expect("wait for it")
    };
    for text in ["no\n", "y\n", ""] {
        ends(
            &typed(text),
            2,
            &[
                "This data is removed for ever:",
                "/var/lib/dcos/exhibitor",
                "the answer was not yes",
                "nothing was changed",
            ],
        );
        assert!(
            image.has("var/lib/dcos/exhibitor/log") && image.has("opt/mesosphere"),
            "{text:?} was taken for a yes"
        );
    }
    // Without a terminal nobody is there to answer.
    ends(&run(&image, &["uninstall", "--purge-data"]), 2, &["--yes"]);
    ends(&typed("yes\n"), 0, &["Type yes to go on:", "DC/OS is removed"]);
    assert!(!image.has("var/lib/dcos") && !image.has("opt/mesosphere"));
    ends(&typed(""), 0, &["nothing was changed"]);
}

/// On a file system that has the flag, whatever temporary directories lie on.
fn an_immutable_file_is_changed_only_if_dcos_wrote_it(install: &[&str], written: &str) {
    let works = |program: &str, arguments: &[&std::ffi::OsStr]| {
        Command::new(program).args(arguments).status().expect(program).success()
    };
    let image = Image::clean();
    let (etc, disk) = (image.at("etc"), image.at("disk"));
    std::fs::File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("make a disk");
    assert!(works(
        "mkfs.ext4",
        &["-q".as_ref(), "-F".as_ref(), "-d".as_ref(), etc.as_ref(), disk.as_ref()]
    ));
    assert!(works("mount", &["-o".as_ref(), "loop".as_ref(), disk.as_ref(), etc.as_ref()]));
    let mounted = Unmounted(etc.clone());
    let file = image.at("etc/resolv.conf");
    let flag_of =
        |file: &Path, flag: &str| assert!(works("chattr", &[flag.as_ref(), file.as_os_str()]));
    let flag = |flag: &str| flag_of(&file, flag);
    let is_immutable = || {
        let listed = Command::new("lsattr").arg(&file).output().expect("lsattr").stdout;
        String::from_utf8_lossy(&listed).split(' ').next().is_some_and(|flags| flags.contains('i'))
    };
    let (before, operators) = (seen(&image), image.read("etc/resolv.conf"));
    // An operator's own: DC/OS could not replace it.
    flag("+i");
    ends(&run(&image, install), 0, &[]);
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert!(is_immutable());
    assert_eq!(seen(&image).changes_since(&before), Vec::<String>::new());
    flag("-i");
    // DC/OS' own, which somebody made immutable.
    ends(&run(&image, install), 0, &[]);
    image.write("etc/resolv.conf", written);
    flag("+i");
    // Killed where it is about to get its flag again.
    let mut killed = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    killed
        .args(["uninstall", "--root"])
        .arg(image.root())
        .env("DCOS_NODE_FAULT", format!("kill Attributes 2 {}", file.display()));
    assert_eq!(killed.output().expect("run").status.code(), None);
    assert!(!is_immutable());
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert!(is_immutable());
    assert_eq!(image.read("etc/resolv.conf"), operators);
    flag("-i");
    // One that refuses to go keeps nothing else, and is told with what helps.
    ends(&run(&image, install), 0, &[]);
    let refuses = image.at("etc/rexray/config.yml");
    flag_of(&refuses, "+i");
    for _ in 0..2 {
        ends(
            &run(&image, &["uninstall", "--purge-data", "--yes"]),
            9,
            &["/etc/rexray/config.yml", "chattr -i"],
        );
        assert!(
            refuses.exists()
                && !image.has("opt/mesosphere")
                && !image.has("etc/mesosphere")
                && image.has("var/lib/dcos-node/journal")
        );
    }
    flag_of(&refuses, "-i");
    ends(&run(&image, &["uninstall", "--purge-data", "--yes"]), 0, &[]);
    assert_eq!(seen(&image).changes_since(&before), Vec::<String>::new());
    drop(mounted);
}

/// A mount that ends with the test.
struct Unmounted(std::path::PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
