//! Decides what is to be done. Pure: no clock, disk or network.

pub mod fetch;
mod firewall;
pub mod install;
pub mod network;
pub mod parting;
pub mod proof;
mod sparing;
pub mod uninstall;

use crate::action::Action;
use crate::dcos::preview::Preview;

/// Actions in order. Those of one batch do not depend on each other and may run at the same time.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One after another.
    pub batches: Vec<Vec<Action>>,
}

impl Plan {
    fn then(&mut self, action: Action) {
        self.batches.push(vec![action]);
    }

    pub(crate) fn together(&mut self, actions: Vec<Action>) {
        if !actions.is_empty() {
            self.batches.push(actions);
        }
    }

    /// One line an action, for people and for `--json`.
    pub fn preview(&self) -> Vec<Preview> {
        self.batches.iter().flatten().map(Action::preview).collect()
    }
}
