use super::*;
use crate::system::systemd::Command;

fn unit(name: &str, active: (&str, &str)) -> Unit {
    Unit {
        name: name.into(),
        load: "loaded".into(),
        active: active.0.into(),
        sub: active.1.into(),
        description: String::new(),
        job_pending: false,
    }
}

fn judged(name: &str, active: (&str, &str), service: Service, others: &[&str]) -> Verdict {
    let unit = unit(name, active);
    let names: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
    judge(&unit, Some(&service), &Around { is_started: true, feeds_agent: false, names: &names })
}

fn always() -> Service {
    Service { result: "success".into(), restart: "always".into(), ..Service::default() }
}

#[test]
fn service_stopped_by_hand_is_not_healthy() {
    let stopped =
        Service { exec_main_code: libc::CLD_KILLED, exec_main_status: libc::SIGTERM, ..always() };
    for service in [
        stopped.clone(),
        Service { exec_main_code: libc::CLD_EXITED, exec_main_status: 0, ..always() },
    ] {
        let verdict = judged(
            "dcos-marathon.service",
            ("inactive", "dead"),
            service,
            &["dcos-marathon.service"],
        );
        assert_eq!(
            (verdict.condition, verdict.cure.as_deref()),
            (Condition::Failed, Some("systemctl start dcos-marathon.service"))
        );
    }
    // The socket of an agent is for its executors, and starts nothing that the cluster could do
    // without.
    let agent = judged(
        "dcos-mesos-slave.service",
        ("inactive", "dead"),
        stopped,
        &["dcos-mesos-slave.socket"],
    );
    assert_eq!(agent.condition, Condition::Failed);
}

#[test]
fn unit_that_systemd_forgot_the_failure_of_converges() {
    let forgot = Service {
        result: "exit-code".into(),
        start_pre: vec![Command { argv: vec!["/bin/ping".into()], ..Command::default() }],
        ..always()
    };
    let waits = ("activating", "auto-restart");
    let verdict = |service: Service| judged("dcos-marathon.service", waits, service, &[]);
    assert_eq!(
        (verdict(forgot.clone()).condition, verdict(forgot.clone()).why),
        (Condition::Converging, Some(Cause::Forgotten))
    );
    let died = Service { exec_main_status: 1, ..forgot };
    assert_eq!(verdict(died).condition, Condition::Failed);
}

#[test]
fn rejected_unit_file_is_reported_with_a_fix() {
    let cure = |load: &str| {
        let unit = Unit { load: load.into(), ..unit("dcos-x.service", ("inactive", "dead")) };
        judge(&unit, Some(&always()), &Around { is_started: true, feeds_agent: false, names: &[] })
            .cure
            .unwrap()
    };
    assert_eq!(cure("masked"), "systemctl unmask dcos-x.service");
    // systemd 219 calls it an error, later ones a bad setting.
    assert_eq!((cure("error").as_str(), cure("bad-setting").as_str()), (VERIFY, VERIFY));
}

const VERIFY: &str = "systemd-analyze verify dcos-x.service names the line";

#[test]
fn service_that_died_during_the_reading_is_not_stable() {
    let unit = unit("dcos-marathon.service", ("active", "running"));
    let around = Around { is_started: true, feeds_agent: false, names: &[] };
    let long_ago = Service { active_enter_monotonic: 1, main_pid: 7, ..always() };
    assert!(report(unit.clone(), Some(&long_ago), &around, &mut Lives::default()).is_settled());
    let died = Service { active_exit_monotonic: 2, main_pid: 0, ..long_ago };
    assert!(!report(unit, Some(&died), &around, &mut Lives::default()).is_settled());
}

#[test]
fn triggered_and_completed_units_count_as_at_rest() {
    let rests = |name, service, others: &[&str]| {
        judged(name, ("inactive", "dead"), service, others).condition == Condition::Well
    };
    assert!(rests("dcos-gen-resolvconf.service", always(), &["dcos-gen-resolvconf.timer"]));
    assert!(rests("dcos-log-master.service", always(), &["dcos-log-master.socket"]));
    let once =
        Service { restart: "on-failure".into(), exec_main_code: libc::CLD_EXITED, ..always() };
    assert!(rests("dcos-bouncer-migrate-users.service", once.clone(), &[]));
    assert!(!rests(
        "dcos-bouncer-migrate-users.service",
        Service { exec_main_code: 0, ..once },
        &[]
    ));
    // Calico and etcd of 2.1 and later, where the configuration switches them off.
    assert!(rests("dcos-etcd.service", Service { condition_failed: true, ..always() }, &[]));
}

#[test]
fn failed_service_with_a_timer_is_tried_again() {
    let died = Service { result: "exit-code".into(), exec_main_status: 1, ..always() };
    let condition = |name: &str, others: &[&str]| {
        judged(name, ("failed", "failed"), died.clone(), others).condition
    };
    let change = "dcos-cockroachdb-config-change";
    let (service, timer) = (format!("{change}.service"), format!("{change}.timer"));
    assert_eq!(condition(&service, &[&timer]), Condition::Converging);
    assert_eq!(condition(&service, &[]), Condition::Failed);
    let signal = ["dcos-signal.timer"];
    assert_eq!(condition("dcos-signal.service", &signal), Condition::AuxiliaryFailed);
}

#[test]
fn unit_between_two_tries_shows_its_failure_reason() {
    let command = Command {
        argv: vec!["/bin/ping".into(), "x".into()],
        exit_monotonic: 2,
        status: 1,
        ..Command::default()
    };
    let polls = Service { result: "exit-code".into(), start_pre: vec![command], ..always() };
    let falls = Service { result: "exit-code".into(), exec_main_status: 3, ..always() };
    for state in [
        ("deactivating", "stop-sigterm"),
        ("activating", "auto-restart"),
        ("activating", "auto-restart-queued"),
    ] {
        let why = |service: &Service| {
            judged("dcos-net.service", state, service.clone(), &[]).why.unwrap()
        };
        assert_eq!(
            (why(&polls).to_string().as_str(), why(&falls).to_string().as_str()),
            POLLS_AND_FALLS
        );
    }
    let queued = Unit { job_pending: true, ..unit("dcos-net.service", ("inactive", "dead")) };
    let why = |service| {
        judge(&queued, Some(service), &Around { is_started: true, feeds_agent: false, names: &[] })
            .why
            .unwrap()
    };
    assert_eq!(
        (why(&polls).to_string().as_str(), why(&falls).to_string().as_str()),
        POLLS_AND_FALLS
    );
    // Somebody stops it.
    assert_eq!(
        judged("dcos-net.service", ("deactivating", "stop-sigterm"), always(), &[]).why,
        Some(Cause::Stopping)
    );
}

const POLLS_AND_FALLS: (&str, &str) =
    ("waits: /bin/ping x does not succeed yet", "its program exited with status 3");

#[test]
fn queued_start_and_hanging_command_are_reported() {
    let hangs = Command {
        argv: vec!["/bin/ping".into(), "x".into()],
        start_monotonic: 1,
        ..Command::default()
    };
    let service = Service { start_pre: vec![hangs], ..always() };
    let why =
        judged("dcos-marathon.service", ("activating", "start-pre"), service, &[]).why.unwrap();
    let why = why.to_string();
    assert!(why.starts_with("waits: /bin/ping x runs for ") && why.ends_with(" s now"), "{why}");
    let unit = Unit { job_pending: true, ..unit("dcos-x.service", ("inactive", "dead")) };
    let verdict = judge(
        &unit,
        Some(&always()),
        &Around { is_started: false, feeds_agent: false, names: &[] },
    );
    assert_eq!((verdict.condition, verdict.why), (Condition::Converging, Some(Cause::Queued)));
}
