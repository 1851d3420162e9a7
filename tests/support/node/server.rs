//! The bootstrap server: nginx over a directory, in a network of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::network::{Namespace, SERVER};
use super::outcome::{Outcome, Running};
use super::place::Place;

/// A web server for nodes, at `http://bootstrap.dcos.test:8080`. Any number of nodes can know it,
/// and then reach each other too.
pub struct Server {
    nginx: Mutex<Option<Child>>,
    namespace: Arc<Namespace>,
    place: Place,
}

impl Server {
    /// The name that nodes know it by; the reference build has it in its configuration.
    pub const NAME: &'static str = "bootstrap.dcos.test";

    /// Serves what lies in the directory, as it is at the time of each request.
    #[track_caller]
    pub fn serving(directory: impl AsRef<Path>) -> Server {
        if let Err(reason) = super::can_run() {
            panic!("no server can be had here: {reason}");
        }
        let directory = fs::canonicalize(&directory)
            .unwrap_or_else(|error| panic!("serve {:?}: {error}", directory.as_ref()));
        let place = Place::new("server");
        let namespace = Namespace::new(place.id());
        namespace.become_bridge();
        let prefix = place.path("nginx");
        fs::create_dir(&prefix).expect("a directory for nginx");
        fs::write(prefix.join("nginx.conf"), configuration(&directory)).expect("write nginx.conf");
        let server = Server { nginx: Mutex::new(None), namespace: Arc::new(namespace), place };
        server.start();
        server
    }

    /// `http://bootstrap.dcos.test:8080`
    pub fn url(&self) -> &'static str {
        "http://bootstrap.dcos.test:8080"
    }

    /// Takes the server away: connections break, new ones are refused.
    pub fn stop(&self) {
        let Some(mut nginx) = self.nginx().take() else { return };
        let _ = kill(Pid::from_raw(nginx.id() as i32), Signal::SIGTERM);
        let _ = nginx.wait();
    }

    /// Brings it back.
    #[track_caller]
    pub fn start(&self) {
        let mut nginx = self.nginx();
        assert!(nginx.is_none(), "the server runs already");
        let prefix = self.place.path("nginx");
        let pid_file = prefix.join("nginx.pid");
        let _ = fs::remove_file(&pid_file);
        let said = fs::File::create(prefix.join("stderr")).expect("a file for what nginx says");
        let mut command = self.namespace.command("nginx");
        command
            .arg("-p")
            .arg(&prefix)
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said);
        let mut child = command.spawn().expect("start nginx");
        let began = Instant::now();
        // It writes the file after it has opened its port.
        while !pid_file.exists() {
            let ended = child.try_wait().expect("look after nginx").is_some();
            if ended || began.elapsed() > Duration::from_secs(120) {
                let _ = child.kill();
                panic!(
                    "nginx does not start: {}",
                    fs::read_to_string(prefix.join("stderr")).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        *nginx = Some(child);
    }

    /// Every request so far, in order, as `METHOD URI STATUS`.
    pub fn requests(&self) -> Vec<String> {
        fs::read_to_string(self.place.path("nginx/access.log"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Its name on this machine: of its network namespace and its directory.
    pub fn id(&self) -> &str {
        self.place.id()
    }

    /// Runs a program of this machine to its end, in the network of the server and its nodes; to
    /// exceed the limit fails the test.
    #[track_caller]
    pub fn run_within<S: AsRef<OsStr>>(&self, limit: Duration, command: &[S]) -> Outcome {
        let (program, arguments) = command.split_first().expect("a program");
        Running::start(self.namespace.command(program).args(arguments), command)
            .finish_within(limit)
    }

    pub(super) fn plug_in(&self, node: &Namespace, address: Option<&str>) {
        self.namespace.plug_in(node, address);
    }

    pub(super) fn namespace(&self) -> Arc<Namespace> {
        Arc::clone(&self.namespace)
    }

    fn nginx(&self) -> MutexGuard<'_, Option<Child>> {
        self.nginx.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// nginx as DC/OS documents it for a bootstrap server, with every path in its own prefix.
fn configuration(directory: &Path) -> String {
    format!(
        r#"user root;
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    log_format requests '$request_method $request_uri $status';
    access_log access.log requests;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen {SERVER}:8080;
        root "{}";
    }}
}}
"#,
        directory.display()
    )
}
