//! Switching a node on and off.

use std::time::{Duration, Instant};

use super::machine::Machine;
use super::{BOOT, Node};

impl Node {
    /// Switches the node on, and returns as soon as its systemd answers; units may still be
    /// starting.
    #[track_caller]
    pub fn power_on(&self) {
        let mut machine = self.machine();
        assert!(machine.is_none(), "{}: it is on already", self.name);
        *machine = Some(Machine::start(&self.place, &self.name, &self.namespace, self.traits));
        drop(machine);
        let began = Instant::now();
        while self.run(&["systemctl", "list-jobs"]).code() != Some(0) {
            assert!(
                began.elapsed() < BOOT,
                "{}: systemd does not answer; the console says:\n{}",
                self.name,
                self.console()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until systemd has started what it starts at boot, whether or not all of it worked.
    #[track_caller]
    pub fn wait_until_booted(&self) {
        let began = Instant::now();
        loop {
            let state = self.run(&["systemctl", "is-system-running"]);
            if matches!(state.stdout().trim(), "running" | "degraded") || self.only_polls() {
                return;
            }
            if began.elapsed() > BOOT {
                panic!(
                    "{}: it does not boot; it waits for:\n{}",
                    self.name,
                    self.run(&["systemctl", "list-jobs"]).stdout()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Units of DC/OS that poll keep the system "starting" after the target was reached. What
    /// systemd itself does after that is over then too.
    pub(super) fn only_polls(&self) -> bool {
        let is_reached =
            self.run(&["systemctl", "is-active", "multi-user.target"]).code() == Some(0);
        let jobs = self.run(&["systemctl", "list-jobs", "--no-legend"]);
        let units = jobs.stdout().lines().filter_map(|line| line.split_whitespace().nth(1));
        let is_of_the_boot =
            |unit: &str| unit.starts_with("systemd-") || unit == "graphical.target";
        is_reached && jobs.code() == Some(0) && !units.into_iter().any(is_of_the_boot)
    }

    /// Shuts the node down as `systemctl poweroff` does, and returns when it is off.
    #[track_caller]
    pub fn power_off(&self) {
        self.run(&["systemctl", "--no-block", "poweroff"]);
        let machine = self.machine().take().expect("it is on");
        if let Err(machine) = machine.off_within(BOOT) {
            drop(machine);
            panic!("{}: it does not power off; the console says:\n{}", self.name, self.console());
        }
    }

    /// Powers off cleanly and boots again.
    #[track_caller]
    pub fn reboot(&self) {
        self.power_off();
        self.power_on();
        self.wait_until_booted();
    }

    /// Takes the power away: every process is gone at once, nothing is told. What was written stays
    /// written, synced or not.
    #[track_caller]
    pub fn cut_power(&self) {
        let machine = self.machine().take().expect("it is on");
        drop(machine);
    }

    /// Takes the power away and with it every write that no disk has had yet: only for a node with
    /// disks.
    #[track_caller]
    pub fn lose_power(&self) {
        self.cut_power();
        self.disks
            .as_ref()
            .unwrap_or_else(|| panic!("{}: it has no disks of its own", self.name))
            .forget_unwritten();
    }

    /// True from `power_on` until it was powered off, or went off by itself.
    pub fn is_on(&self) -> bool {
        self.machine().as_mut().is_some_and(Machine::is_on)
    }

    /// Kills every process of that name (the file name of its program) with SIGKILL; false if there
    /// was none.
    pub fn kill(&self, program: &str) -> bool {
        // The kernel keeps 15 bytes of the name.
        let name: String = program.chars().take(15).collect();
        self.run(&["pkill", "-KILL", "-x", "--", &name]).code() == Some(0)
    }
}
