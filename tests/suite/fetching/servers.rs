//! Mirrors, proxies and logins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::build::{Build, Damage};
use support::http_server::{CLOSED, Server};
use support::image::Mounted;

use super::{NOBODY, archive_of, ends, image, packed, run, run_with, store};

#[tokio::test(flavor = "multi_thread")]
async fn dead_or_wrong_mirror_is_reported_and_the_next_one_used() {
    let (tiny, directory) = packed(&Build::tiny());
    let good = Server::start(directory.path()).await;
    let fetch = |first: &str, mirrors: &[&str]| {
        let image = self::image();
        let mirrors: Vec<&str> = mirrors.iter().flat_map(|mirror| ["--mirror", mirror]).collect();
        let output =
            run(image.path(), &[&["fetch", "--bootstrap-url", first], &mirrors[..]].concat());
        (output, store(image.path()))
    };
    let whole = fetch(good.url(), &[]).1;

    // It is dead from the beginning.
    let with_secret = good.url().replace("http://", "http://user:secret@");
    let nobody = format!("http://{CLOSED}");
    let (output, packages) = fetch(&nobody, &[&with_secret]);
    let said = ends(&output, 0, &["is passed over", "Connection refused"]);
    assert!(packages == whole && !said.contains("secret"), "{said}");

    // It has everything but one archive; it gives a damaged one; it breaks off in the middle and
    // cannot go on.
    let archive = format!("/{}", archive_of(&tiny, "units"));
    for how in 0..4 {
        let (_other, bad) = packed(&match how {
            0 => Build::tiny().damaged("units", Damage::BitFlip),
            _ => Build::tiny(),
        });
        let first = Server::start(bad.path()).await;
        match how {
            1 => first.answer(&archive, 404, 99),
            2 => first.cut_after(&archive, 100).ignore_range(&archive),
            3 => first.answer(&archive, 403, 99),
            _ => &first,
        };
        let (output, packages) = fetch(first.url(), &[good.url()]);
        ends(&output, 0, &[tiny.id("units"), &format!("trying {}", good.url())]);
        assert_eq!(packages, whole, "{how}");
    }

    // Wrong everywhere: the archive is named, and what was whole stays.
    let (_other, bad) = packed(&Build::tiny().damaged("units", Damage::Truncated));
    let first = Server::start(bad.path()).await;
    let (output, packages) = fetch(first.url(), &[bad.path().to_str().unwrap()]);
    ends(&output, 6, &[tiny.id("units"), "damaged", "dcos-node uninstall removes"]);
    assert!(
        !packages.is_empty()
            && packages.iter().all(|name| !name.starts_with('.') && name != tiny.id("units")),
        "{packages:?}"
    );
    // What may still pass is no reason to call the archive wrong.
    let (output, _) = fetch(&first.at("/"), &[&nobody]);
    ends(&output, 1, &[tiny.id("units")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_credentials_are_sent_only_to_the_proxy() {
    let (tiny, directory) = packed(&Build::tiny());
    let server = Server::start(directory.path()).await;
    let proxy = server.url().replace("http://", "http://opener:sesame@");
    // Of that, in base 64.
    let secrets = ["sesame", "b3BlbmVyOnNlc2FtZQ"];
    let events = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(events.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let events_to = ["--events", events.path().to_str().unwrap()];
    let url = "http://bootstrap.example:8080";
    let through = [("http_proxy", proxy.as_str()), ("no_proxy", "other.example")];
    let lines: [&[&str]; 4] = [
        &["preflight", "master", "-vv", "--bootstrap-url", url],
        &["fetch", "-vv", "--bootstrap-url", url],
        &[
            "install",
            "master",
            "-d",
            "-vv",
            "--log-format",
            "json",
            "--json",
            "--bootstrap-url",
            url,
        ],
        &["status", "--json", "-vv"],
    ];
    let (image, mut said) = (image(), String::new());
    for line in lines {
        let output = run_with(image.path(), &[line, &events_to].concat(), &through);
        said += &String::from_utf8_lossy(
            &[output.stdout, output.stderr, fs::read(events.path()).unwrap()].concat(),
        );
    }
    assert!(said.contains("bootstrap.example") && said.contains("first boot"), "{said}");
    // Everything came through the proxy, which was told both.
    let asked = format!("GET {url}/{} ", archive_of(&tiny, "units"));
    let heads = server.heads();
    assert!(heads.iter().any(|head| head.starts_with(&asked)), "{heads:?}");
    let opened = |head: &String| {
        head.to_lowercase().contains("proxy-authorization: basic ") && head.contains(secrets[1])
    };
    assert!(heads.iter().all(opened), "{heads:?}");
    // It fails too, in a download and before it.
    server.answer(&format!("/{}", archive_of(&tiny, "units")), 407, 99);
    let other = self::image();
    for line in [
        lines[1],
        &["fetch", "-vv", "--json", "--bootstrap-url", "http://bootstrap.example:8080/nothing"],
    ] {
        let output = run_with(other.path(), &[line, &events_to].concat(), &through);
        assert!(!output.status.success());
        said += &String::from_utf8_lossy(
            &[output.stdout, output.stderr, fs::read(events.path()).unwrap()].concat(),
        );
    }
    for root in [image.path(), other.path()] {
        for (path, content) in
            files_below(&root.join("var")).into_iter().chain(files_below(&root.join("etc")))
        {
            assert!(
                secrets.iter().all(|secret| !content.contains(secret)),
                "{}: {content}",
                path.display()
            );
        }
    }
    assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
}

/// Every file below a directory, as text.
fn files_below(directory: &Path) -> Vec<(PathBuf, String)> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            match fs::symlink_metadata(&path).unwrap() {
                meta if meta.is_dir() => open.push(path),
                meta if meta.is_file() => found.push((
                    path.clone(),
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
                )),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_does_not_try_another_mirror() {
    if !support::is_root() {
        return;
    }
    let (_, directory) = packed(&Build::tiny());
    let (first, second) =
        (Server::start(directory.path()).await, Server::start(directory.path()).await);
    let image = image();
    let opt = image.path().join("opt");
    fs::create_dir_all(&opt).unwrap();
    let _small = Mounted::memory(&opt, 8 << 10);
    std::os::unix::fs::chown(&opt, Some(NOBODY), Some(NOBODY)).unwrap();
    let output =
        run(image.path(), &["fetch", "--bootstrap-url", first.url(), "--mirror", second.url()]);
    let said = ends(&output, 1, &["No space left on device", "dcos-node fetch goes on"]);
    assert!(!said.contains("trying") && second.heads().is_empty(), "{said}{:?}", second.heads());
    let store = image.path().join("opt/dcos-node/packages");
    let names = fs::read_dir(store).into_iter().flatten();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}

/// The value of the header of the first question.
fn login_of(server: &Server) -> Option<String> {
    let head = server.heads().first()?.to_lowercase();
    head.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn password_leaves_the_command_line_and_reaches_the_server() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bootstrap.latest"), "0".repeat(40)).unwrap();
    let server = Server::start(directory.path()).await;
    server.stall_at("/bootstrap.latest", 0).stall_at("/dcos-build.json", 0);
    let url = server.url().replace("http://", "http://user:PASSWORD@");
    let image = image();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(["fetch", "--bootstrap-url", &url, "--root"]).arg(image.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    server.is_asked("").await;
    let line = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(line.contains("fetch") && !line.contains("PASSWORD"), "{line:?}");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("DCOS_NODE_BOOTSTRAP_URL") && !said.contains("PASSWORD"), "{said}");
    // user:PASSWORD
    assert_eq!(login_of(&server).as_deref(), Some("basic dxnlcjpqqvntv09sra=="));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_of_a_netrc_file_is_sent_to_its_host_only() {
    let (_tiny, directory) = packed(&Build::tiny());
    let netrc = directory.path().join("netrc");
    let path = netrc.to_str().unwrap();
    for (host, login) in [("127.0.0.1", Some("basic dxnlcjpqqvntv09sra==")), ("else.test", None)] {
        let server = Server::start(directory.path()).await;
        fs::write(&netrc, format!("machine {host} login user password PASSWORD\n")).unwrap();
        let fetch = ["fetch", "--dry-run", "--bootstrap-url", server.url()];
        ends(&run_with(image().path(), &fetch, &[("NETRC", path)]), 0, &[]);
        assert_eq!(login_of(&server).as_deref(), login, "{host}");
    }
}
