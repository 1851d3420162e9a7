//! A node in a directory whose systemd can be made to fail.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dcos_node::command::{Failure, World, install, uninstall};
use dcos_node::dcos::role::Role;
use dcos_node::output::failure;
use dcos_node::output::paint::Paint;
use dcos_node::system::systemd::{
    Change, Error, Fake, Job, JobResult, Neighbour, Refusal, Service, Systemd, Unit,
};
use support::build::Build;
use support::image::{Image, Serve};

/// How a systemd fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Manner {
    Refuses,
    Hangs,
    LosesTheConnection,
    IsGone,
    NeverAnswers,
}

/// A systemd whose calls fail from some call on, until it is well again.
pub(super) struct Unwilling {
    pub(super) fake: Fake,
    /// From which call of this member on it fails, and how; `*` is any call.
    fails: Mutex<Option<(&'static str, Manner)>>,
}

impl Unwilling {
    fn point(&self, member: &'static str, object: &str) -> Result<(), Error> {
        let mut fails = self.fails.lock().expect("no panic");
        let Some((first, manner)) = *fails else { return Ok(()) };
        if first != member && first != "*" {
            return Ok(());
        }
        // What refuses one thing may do others; what hangs or is gone does so for all that follows.
        if manner != Manner::Refuses {
            *fails = Some(("*", manner));
        }
        let refusal = |name: &str, message: &str| Refusal {
            name: format!("org.freedesktop.DBus.Error.{name}"),
            message: message.to_owned(),
        };
        let object = object.to_owned();
        Err(match manner {
            Manner::Refuses => Error::AccessDenied {
                member,
                object,
                source: refusal("AccessDenied", "SELinux policy denies access"),
            },
            Manner::Hangs => Error::Deadline { member, object, limit: Duration::from_secs(25) },
            Manner::LosesTheConnection => Error::Disconnected {
                member,
                object,
                source: refusal("Disconnected", "Broken pipe"),
            },
            Manner::IsGone => Error::NotRunning {
                bus: "/run/dbus/system_bus_socket".into(),
                bus_reason: "Connection refused".to_owned(),
                private: "/run/systemd/private".into(),
                private_reason: "Connection refused".to_owned(),
            },
            Manner::NeverAnswers => return Ok(()),
        })
    }
}

#[async_trait::async_trait]
impl Systemd for Unwilling {
    async fn version(&self) -> Result<String, Error> {
        self.point("Version", "")?;
        self.fake.version().await
    }
    async fn reload(&self) -> Result<(), Error> {
        self.point("Reload", "")?;
        self.fake.reload().await
    }
    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        self.point("AddDependencyUnitFiles", target)?;
        self.fake.add_wants(target, units).await
    }
    async fn start(&self, unit: &str) -> Result<Job, Error> {
        self.point("StartUnit", unit)?;
        self.fake.start(unit).await
    }
    async fn stop(&self, unit: &str) -> Result<Job, Error> {
        self.point("StopUnit", unit)?;
        self.fake.stop(unit).await
    }
    async fn restart(&self, unit: &str) -> Result<Job, Error> {
        self.point("RestartUnit", unit)?;
        self.fake.restart(unit).await
    }
    async fn kill_main(&self, service: &str, signal: i32) -> Result<(), Error> {
        self.point("KillUnit", service)?;
        self.fake.kill_main(service, signal).await
    }
    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error> {
        self.point("wait", &job.unit)?;
        self.fake.wait(job, limit).await
    }
    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error> {
        self.point("ListUnits", "")?;
        let never =
            matches!(*self.fails.lock().expect("no panic"), Some((_, Manner::NeverAnswers)));
        if never {
            std::future::pending::<()>().await;
        }
        self.fake.units(names).await
    }
    async fn loaded_units(&self) -> Result<Vec<Unit>, Error> {
        self.point("ListUnits", "")?;
        self.fake.loaded_units().await
    }
    async fn service(&self, name: &str) -> Result<Service, Error> {
        self.point("GetAll", name)?;
        self.fake.service(name).await
    }
    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        self.point("ResetFailedUnit", unit)?;
        self.fake.reset_failed(unit).await
    }
    async fn reload_neighbour(&self, neighbour: Neighbour) -> Result<(), Error> {
        self.point("ReloadNeighbour", neighbour.unit())?;
        self.fake.reload_neighbour(neighbour).await
    }
    async fn unset_environment(&self, names: &[String]) -> Result<(), Error> {
        self.fake.unset_environment(names).await
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        dcos_node::system::systemd::Systemd::set_environment(&self.fake, assignments).await
    }
    async fn environment(&self) -> Result<Vec<String>, Error> {
        self.fake.environment().await
    }
}

/// A directory that stands for a running node whose systemd may fail.
pub(super) struct Bench {
    pub(super) image: Image,
    serve: Serve,
    pub(super) systemd: Arc<Unwilling>,
    pub(super) world: World,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let image = Image::new();
        let users = "dcos_tiny_files:x:60001:60001::/:/sbin/nologin\n\
                     dcos_tiny_units:x:60002:60002::/:/sbin/nologin\n";
        let groups = "dcos_tiny_files:x:60001:\n\
                      dcos_tiny_units:x:60002:\n\
                      systemd-journal:x:101:dcos_tiny_units\n";
        fs::write(image.at("etc/passwd"), format!("root:x:0:0::/root:/bin/sh\n{users}"))
            .expect("write");
        fs::write(image.at("etc/group"), format!("root:x:0:\n{groups}")).expect("write");
        fs::create_dir_all(image.at("run")).expect("make /run");
        fs::write(
            image.at("etc/systemd/system/systemd-journald.service"),
            "[Service]\nExecStart=/bin/true\n",
        )
        .expect("write");
        let systemd =
            Arc::new(Unwilling { fake: Fake::new(image.path()), fails: Mutex::new(None) });
        let world = image.world(Some(Ok(systemd.clone())));
        let build = Build::tiny().with_node_file(
            "/etc/systemd/journald.conf.d/dcos.conf",
            0o644,
            "[Journal]\nRateLimitInterval=0\n",
        );
        Bench { image, serve: Serve::of(&build), systemd, world }
    }

    pub(super) fn fails(&self, how: Option<(&'static str, Manner)>) {
        *self.systemd.fails.lock().expect("no panic") = how;
    }

    pub(super) async fn install(&self) -> Result<install::Outcome, Failure> {
        let request = install::Request {
            role: Role::Master,
            bootstrap_url: Some(self.serve.url().to_owned()),
            skip: Vec::new(),
            skip_all: Some("the node is a directory".to_owned()),
            wait_time_sync: None,
            reset_identity: false,
            dry_run: false,
            start: true,
            follow: true,
            restart_journald: false,
            restart_docker: false,
            fetching: dcos_node::dcos::fetching::Fetching::default(),
            strict: false,
            require_digests: false,
            allow_files: Vec::new(),
        };
        let ended = install::run(&request, &self.world).await;
        if let Err(failure) = &ended {
            eprintln!(
                "--- exit {:?}\n{}",
                failure.exit,
                failure::text(failure, None, Paint::stdout(true))
            );
        }
        ended
    }

    pub(super) async fn uninstall(&self) -> Result<uninstall::Outcome, Failure> {
        let ended = uninstall::run(
            &uninstall::Request { purge_data: true, yes: true, ..uninstall::Request::default() },
            &self.world,
        )
        .await;
        if let Err(failure) = &ended {
            eprintln!(
                "--- exit {:?}\n{}",
                failure.exit,
                failure::text(failure, None, Paint::stdout(true))
            );
        }
        ended
    }
}
