//! The files that a build writes on the node besides its packages: where they may go, what stands
//! there before, and what a boot needs to place them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::build::Build;
use support::http_server::Server;
use support::image::{Image, Serve};
use support::tls;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n";
/// Where builds from 2.0 on put the certificate of Exhibitor.
const PLACE: &str = "/tmp/root-cert.pem";
/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// Puts something into an image, at this path of this machine.
type Plant = fn(&Image, &Path);

fn with_certificate() -> Serve {
    Serve::of(&Build::tiny().with_node_file(PLACE, 0o644, CERTIFICATE))
}

fn image() -> Image {
    let image = Image::new();
    fs::create_dir(image.at("tmp")).unwrap();
    fs::set_permissions(image.at("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    image
}

#[test]
fn file_in_an_unusual_place_is_refused_by_name() {
    if !support::is_root() {
        return;
    }
    let build =
        |path: &str, content: &str| Serve::of(&Build::tiny().with_node_file(path, 0o644, content));
    for (path, content) in [
        ("/etc/cron.d/evil", "* * * * * root true\n"),
        ("/etc/ld.so.preload", CERTIFICATE),
        ("/tmp/root-cert.pem", "not a certificate\n"),
    ] {
        let (serve, image) = (build(path, content), image());
        let before = image.tree();
        let refused = image.install(serve.url(), &["-d"]);
        refused.ends(6, &[&["no release of DC/OS writes", path], &["--allow-file", path]]);
        image.install(serve.url(), &["-d", "--allow-file", "/etc/other"]).ends(6, &[&[path]]);
        image.equals(&before);
        image.install(serve.url(), &["-d", "--allow-file", path]).ends(0, &[]);
        assert!(image.has(&path[1..]));
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
        image.equals(&before);
        let image = image.with("DCOS_NODE_ALLOW_FILE", format!("/etc/other {path}"));
        image.install(serve.url(), &["-d"]).ends(0, &[]);
    }
    let image = image();
    image.install(with_certificate().url(), &["-d"]).ends(0, &[]);
    assert!(image.has("tmp/root-cert.pem"));
}

#[test]
fn what_a_stranger_put_in_the_place_is_a_conflict() {
    if !support::is_root() {
        return;
    }
    let serve = with_certificate();
    let secret = "TOPSECRETNOTE";
    let plants: [(&str, Plant); 7] = [
        ("a directory", |_, place| fs::create_dir(place).unwrap()),
        ("a link", |image, place| symlink(image.at("root-note"), place).unwrap()),
        ("a link", |image, place| {
            nix::unistd::mkfifo(&image.at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            symlink(image.at("pipe"), place).unwrap();
        }),
        ("a pipe", |_, place| nix::unistd::mkfifo(place, nix::sys::stat::Mode::S_IRWXU).unwrap()),
        ("a file of the user 65534", |_, place| {
            fs::write(place, "x").unwrap();
            chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
        }),
        ("another name of a file", |image, place| {
            fs::hard_link(image.at("root-note"), place).unwrap()
        }),
        ("which belongs to the user 65534", |image, _| {
            chown(image.at("tmp"), Some(NOBODY), Some(NOBODY)).unwrap()
        }),
    ];
    for (what, plant) in plants {
        let image = image();
        fs::write(image.at("root-note"), secret).unwrap();
        plant(&image, &image.at(&PLACE[1..]));
        let before = image.tree();
        image.install(serve.url(), &["-d"]).ends(5, &[&[PLACE, what]]);
        image.equals(&before);
        assert!(!image.has("var/lib/dcos-node"), "{what}: something was begun");
        assert_eq!(fs::read_to_string(image.at("root-note")).unwrap(), secret);
    }
}

#[test]
fn what_root_had_in_the_place_is_put_back() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (with_certificate(), image());
    fs::write(image.at(&PLACE[1..]), "root's\n").unwrap();
    let before = image.tree();
    image.install(serve.url(), &["-d"]).ends(0, &[]);
    assert!(fs::read_to_string(image.at(&PLACE[1..])).unwrap().starts_with(CERTIFICATE));
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
    image.equals(&before);
}

/// An image on which an install was killed before it fetched the first package.
fn killed(image: Image, url: &str, more: &[&str]) -> Image {
    let staging = image.at("etc/systemd/system/.dcos-setup.service.dcos-node.tmp");
    let image = image.with("DCOS_NODE_FAULT", format!("kill Sync 1 {}", staging.display()));
    let killed = image.install(url, &[&["--skip", "time.sync=no clock here"], more].concat());
    assert_eq!(killed.code(), None, "it was not killed");
    image.without("DCOS_NODE_FAULT")
}

fn receipt(image: &Image) -> Value {
    serde_json::from_slice(&fs::read(image.at("var/lib/dcos-node/receipt.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_has_what_the_command_line_had() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny().with_node_file("/srv/extra", 0o644, "x"));
    let server = Server::start(serve.path()).await;
    // TLS with an authority that is named by a file, which is gone at boot.
    let directory = tempfile::tempdir().unwrap();
    let authority: PathBuf = directory.path().join("authority.pem");
    fs::copy(tls::file("authority.pem"), &authority).unwrap();
    let url = tls::in_front_of(server.url(), "valid.pem");
    let allowed = ["--allow-file", "/srv/extra"];
    let named = [&allowed[..], &["--ca-file", authority.to_str().unwrap()]].concat();
    let image = killed(Image::new(), &url, &named);
    fs::remove_file(&authority).unwrap();
    image.run(&["recover"]).ends(0, &[]);
    assert!(image.has("srv/extra"));
    assert_eq!(receipt(&image)["role"], "master");

    // A proxy that stands for a server of no address.
    let image =
        Image::new().with("http_proxy", server.url().replace("http://", "http://user:sesame@"));
    let image = killed(image, "http://bootstrap.invalid", &allowed);
    let journal = fs::read_to_string(image.at("var/lib/dcos-node/journal")).unwrap();
    assert!(journal.contains("http_proxy") && !journal.contains("sesame"), "{journal}");
    let image = image.without("http_proxy");
    image.run(&["recover"]).ends(0, &[]);
    assert!(image.has("srv/extra"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_has_the_login_of_a_proxy_from_netrc() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let server = Server::start(serve.path()).await;
    let login = |head: &String| {
        // user:sesame
        head.to_lowercase().contains("proxy-authorization: basic dxnlcjpzzxnhbwu=")
    };
    let proxy = server.url().replace("http://", "http://user:sesame@");
    let image = killed(Image::new().with("http_proxy", proxy), "http://bootstrap.invalid", &[]);
    assert!(server.heads().iter().all(login), "{:#?}", server.heads());
    let (image, before) = (image.without("http_proxy"), server.heads().len());
    let netrc = image.at("netrc");
    fs::write(&netrc, "machine 127.0.0.1 login user password sesame\n").unwrap();
    let image = image.with("NETRC", netrc.to_str().unwrap());
    image.run(&["recover"]).ends(0, &[]);
    let after = server.heads().split_off(before);
    assert!(!after.is_empty() && after.iter().all(login), "{after:#?}");
}
