//! The cache that `docs/scale.md` shows, as it stands there: packages come out of it, the program
//! and the index never do.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::build::Build;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

/// nginx as origin and, with the words of the document, as cache.
struct Servers {
    nginx: Child,
    desk: TempDir,
    cache: String,
}

impl Servers {
    /// None, which is said past the test runner, if there is no nginx here.
    fn serving(directory: &Path) -> Option<Servers> {
        let here = Command::new("nginx").arg("-v").output().is_ok();
        assert!(here || std::env::var_os("CI").is_none(), "CI must have nginx: make setup");
        if !here {
            let _ = writeln!(std::io::stderr(), "NOT RUN: nginx is not installed");
            return None;
        }
        // A port that was free a moment ago may be another's by now.
        let mut said = String::new();
        for _ in 0..5 {
            match Servers::started(directory) {
                Ok(servers) => return Some(servers),
                Err(why) => said = why,
            }
        }
        panic!("nginx does not start: {said}");
    }

    fn started(directory: &Path) -> Result<Servers, String> {
        let desk = tempfile::tempdir().expect("a directory");
        let [origin, cache] = ports().map(|port| format!("127.0.0.1:{port}"));
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale.md"))
            .expect("docs/scale.md");
        let snippet = text
            .split("```nginx\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("a cache");
        let snippet = [
            ("/var/cache/nginx/dcos", desk.path().join("cache").display().to_string()),
            ("listen 80", format!("listen {cache}")),
            ("http://bootstrap.example.com", format!("http://{origin}")),
        ]
        .iter()
        .fold(snippet.to_owned(), |text, (of_the_document, here)| {
            assert!(text.contains(of_the_document), "{of_the_document}");
            text.replace(of_the_document, here)
        });
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let configuration = format!(
            "{}daemon off;\n\
             pid nginx.pid;\n\
             error_log error.log;\n\
             events {{}}\n\
             http {{\n\
             access_log off;\n\
             log_format asked '$request_method $uri';\n\
             {temporary}server {{ listen {origin}; root \"{}\"; access_log asked.log asked; }}\n\
             {snippet}}}\n",
            if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" },
            directory.display()
        );
        fs::write(desk.path().join("nginx.conf"), configuration).expect("write the configuration");
        let said = fs::File::create(desk.path().join("said")).expect("a file");
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(desk.path())
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stderr(said);
        let mut nginx = command.spawn().expect("start nginx");
        let began = Instant::now();
        // It writes the file after it has opened its ports.
        while !desk.path().join("nginx.pid").exists() {
            let ended = nginx.try_wait().expect("look after nginx").is_some();
            if ended || began.elapsed() > Duration::from_secs(120) {
                let _ = nginx.kill();
                let _ = nginx.wait();
                return Err(fs::read_to_string(desk.path().join("said")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Servers { nginx, desk, cache: format!("http://{cache}") })
    }

    /// How often the origin was asked for paths that begin so.
    fn asked_for(&self, path: &str) -> usize {
        let log = fs::read_to_string(self.desk.path().join("asked.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(&format!("GET {path}"))).count()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.nginx.id() as i32),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.nginx.wait();
    }
}

/// Two that are free now.
fn ports() -> [u16; 2] {
    let both = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    both.map(|listener| listener.local_addr().expect("its address").port())
}

#[track_caller]
fn run(program: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("http_proxy")
        .output()
        .expect("run dcos-node");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

/// Fetches through the cache into a node of its own with the program that the cache gives, and
/// tells which build it has then.
fn fetched_through(servers: &Servers) -> serde_json::Value {
    let node = tempfile::tempdir().expect("a node");
    let program = node.path().join("dcos-node");
    let got = Command::new("curl")
        .args(["-sf", "-o"])
        .arg(&program)
        .arg(format!("{}/dcos-node", servers.cache))
        .status()
        .expect("curl");
    assert!(got.success(), "{got}");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("make it a program");
    let root = node.path().join("root");
    fs::create_dir(&root).expect("a root");
    let output = run(
        &program,
        &[
            "fetch",
            "--json",
            "--require-digests",
            "--root",
            &root.display().to_string(),
            "--bootstrap-url",
            &servers.cache,
        ],
    );
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[test]
fn rack_cache_fetches_packages_once_and_build_names_always() {
    let (directory, desk) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let program: PathBuf = desk.path().join("program");
    // A small copy, for a debug build has a hundred megabytes of symbols.
    assert!(
        Command::new("strip")
            .arg("-o")
            .arg(&program)
            .arg(PROGRAM)
            .status()
            .expect("strip")
            .success()
    );
    let publish = |build: Build| {
        build.pack(directory.path());
        run(&program, &["publish", &directory.path().display().to_string()]);
    };
    publish(Build::tiny());
    let Some(servers) = Servers::serving(directory.path()) else { return };
    let first = fetched_through(&servers);
    let packages = servers.asked_for("/packages/");
    assert!(packages > 0 && first["changed"] == true, "{first}");
    let second = fetched_through(&servers);
    assert_eq!(second["package_list_id"], first["package_list_id"]);
    assert_eq!(
        servers.asked_for("/packages/"),
        packages,
        "the second node has its packages from the cache"
    );
    assert_eq!(servers.asked_for("/dcos-node"), 2, "the program is asked for each time");

    publish(Build::tiny().with_file("files", "etc/more", 0o644, "more"));
    let third = fetched_through(&servers);
    assert_ne!(third["package_list_id"], first["package_list_id"], "no node gets the old build");
}
