#![expect(clippy::disallowed_methods, reason = "tests lay out unit files")]

use super::*;

const LIMIT: Duration = Duration::from_secs(1);

fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Fake) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory(root.path())).unwrap();
    for (name, text) in files {
        std::fs::write(directory(root.path()).join(name), text).unwrap();
    }
    let fake = Fake::new(root.path());
    (root, fake)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn run(fake: &Fake, unit: &str) -> Result<JobResult, Error> {
    let job = fake.start(unit).await?;
    fake.wait(&job, LIMIT).await
}

const RUN: &str = "[Service]\nExecStart=/bin/sleep 9\n";

#[tokio::test]
async fn a_target_starts_what_it_wants_after_a_reload() {
    let (root, fake) = root(&[("a.target", "[Unit]\n"), ("a.service", RUN)]);
    assert_eq!(run(&fake, "a.target").await.unwrap(), JobResult::Done);
    let changes = fake.add_wants("a.target", &names(&["a.service"])).await.unwrap();
    let expected = Change {
        kind: "symlink".to_owned(),
        link: PathBuf::from("/etc/systemd/system/a.target.wants/a.service"),
        target: PathBuf::from("/etc/systemd/system/a.service"),
    };
    assert_eq!(changes, [expected]);
    let link = directory(root.path()).join("a.target.wants/a.service");
    assert_eq!(std::fs::read_link(link).unwrap(), Path::new("/etc/systemd/system/a.service"));
    assert_eq!(fake.add_wants("a.target", &names(&["a.service"])).await.unwrap(), []);

    run(&fake, "a.target").await.unwrap();
    assert_eq!(
        fake.units(&names(&["a.service"])).await.unwrap()[0].active,
        "inactive",
        "the target does not know the link yet"
    );
    fake.reload().await.unwrap();
    run(&fake, "a.target").await.unwrap();
    let unit = &fake.units(&names(&["a.service"])).await.unwrap()[0];
    assert_eq!((unit.active.as_str(), unit.sub.as_str()), ("active", "running"));
}

#[tokio::test]
async fn units_that_cannot_start_fail_with_systemd_error_names() {
    let (root, fake) = root(&[("a.target", ""), ("bad.service", "[Service]\n")]);
    symlink("/dev/null", directory(root.path()).join("masked.service")).unwrap();
    assert!(matches!(fake.start("no.service").await, Err(Error::NoSuchUnit { .. })));
    assert!(matches!(fake.stop("no.service").await, Err(Error::NoSuchUnit { .. })));
    assert!(matches!(
        fake.add_wants("a.target", &names(&["no.service"])).await,
        Err(Error::NoSuchUnit { .. })
    ));
    assert!(matches!(
        fake.add_wants("no.target", &names(&["bad.service"])).await,
        Err(Error::NoSuchUnit { .. })
    ));
    for (unit, name) in [("bad.service", "BadUnitSetting"), ("masked.service", "UnitMasked")] {
        let Err(Error::Call { source, .. }) = fake.start(unit).await else {
            panic!("{unit} started")
        };
        assert_eq!(source.name, format!("org.freedesktop.systemd1.{name}"));
    }
    let units = fake.units(&names(&["bad.service", "no.service", "masked.service"])).await.unwrap();
    assert_eq!(
        units.iter().map(|unit| unit.load.as_str()).collect::<Vec<_>>(),
        ["bad-setting", "not-found", "masked"]
    );
}

#[tokio::test]
async fn file_in_place_of_a_link_is_an_error() {
    let (root, fake) = root(&[("a.target", ""), ("a.service", RUN)]);
    let wants = directory(root.path()).join("a.target.wants");
    std::fs::create_dir(&wants).unwrap();
    std::fs::write(wants.join("a.service"), "").unwrap();
    assert!(matches!(
        fake.add_wants("a.target", &names(&["a.service"])).await,
        Err(Error::UnitExists { .. })
    ));
    std::fs::remove_file(wants.join("a.service")).unwrap();
    symlink("/elsewhere", wants.join("a.service")).unwrap();
    assert_eq!(fake.add_wants("a.target", &names(&["a.service"])).await.unwrap()[0].kind, "unlink");
}

#[tokio::test]
async fn fake_systemd_follows_the_configured_behaviour() {
    let (_root, fake) = root(&[
        ("fails.service", RUN),
        (
            "restarts.service",
            "[Service]\nExecStartPre=-/bin/a\nExecStartPre=/bin/b\nExecStart=/bin/c\n",
        ),
        ("never.service", RUN),
        ("needs.service", "[Unit]\nRequires=fails.service\n[Service]\nExecStart=/bin/true\n"),
    ]);
    fake.behave("fails.service", Behaviour::Fails);
    fake.behave("restarts.service", Behaviour::AutoRestarts);
    fake.behave("never.service", Behaviour::NeverAnswers);
    assert_eq!(run(&fake, "needs.service").await.unwrap(), JobResult::Dependency);
    assert_eq!(run(&fake, "fails.service").await.unwrap(), JobResult::Failed);
    assert_eq!(fake.service("fails.service").await.unwrap().exec_main_status, 1);
    fake.reset_failed("fails.service").await.unwrap();
    assert_eq!(fake.units(&names(&["fails.service"])).await.unwrap()[0].active, "inactive");

    assert_eq!(run(&fake, "restarts.service").await.unwrap(), JobResult::Failed);
    let unit = &fake.units(&names(&["restarts.service"])).await.unwrap()[0];
    assert_eq!((unit.active.as_str(), unit.sub.as_str()), ("activating", "auto-restart"));
    let service = fake.service("restarts.service").await.unwrap();
    assert_eq!(service.restarts, Some(1));
    assert_eq!(service.start_pre.iter().map(|command| command.status).collect::<Vec<_>>(), [0, 1]);

    let start = fake.start("never.service").await.unwrap();
    assert!(matches!(fake.wait(&start, LIMIT).await, Err(Error::Deadline { .. })));
    assert!(fake.units(&names(&["never.service"])).await.unwrap()[0].job_pending);
    fake.stop("never.service").await.unwrap();
    assert_eq!(fake.wait(&start, LIMIT).await.unwrap(), JobResult::Canceled);
}

#[tokio::test]
async fn systemd_219_supports_only_the_methods_used() {
    let (_root, fake) = root(&[("a.target", ""), ("a.service", RUN)]);
    fake.offers_only_219();
    fake.set_environment(&["A=1", "B=2"]);
    assert_eq!(fake.version().await.unwrap(), "219");
    fake.add_wants("a.target", &names(&["a.service"])).await.unwrap();
    fake.reload().await.unwrap();
    run(&fake, "a.target").await.unwrap();
    fake.restart("a.service").await.unwrap();
    fake.unset_environment(&names(&["A"])).await.unwrap();
    Systemd::set_environment(&fake, &names(&["B=3"])).await.unwrap();
    assert_eq!(fake.environment().await.unwrap(), ["B=3"]);
    assert_eq!(fake.service("a.service").await.unwrap().restarts, None);
    assert!(fake.record("RefUnit", "a.service").is_err());
    let calls: Vec<String> = fake.calls().iter().map(ToString::to_string).collect();
    assert_eq!(
        calls[..4],
        ["Version", "AddDependencyUnitFiles a.service to a.target", "Reload", "StartUnit a.target"]
    );
}
