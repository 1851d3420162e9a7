//! Takes out of a plan what would touch what is to stay as it stands.

use super::Plan;
use crate::action::Action;
use crate::dcos::layout;
use crate::dcos::spared::Spared;

impl Plan {
    /// The same plan, without all that touches what is spared.
    pub(super) fn sparing(self, spared: &Spared) -> Plan {
        let left = |batch: Vec<Action>| -> Vec<Action> {
            batch.into_iter().filter_map(|action| of_the_rest(action, spared)).collect()
        };
        let batches = self.batches.into_iter().map(left).filter(|batch| !batch.is_empty());
        Plan { batches: batches.collect() }
    }
}

/// What of an action is left to do.
fn of_the_rest(action: Action, spared: &Spared) -> Option<Action> {
    match action {
        Action::FetchBootstrap { id, mut expected, artifact, .. } => {
            expected.retain(|id| !spared.has_package(id));
            let spared = spared.packages.clone();
            (!expected.is_empty()).then_some(Action::FetchBootstrap {
                id,
                expected,
                artifact,
                spared,
            })
        }
        Action::FetchPackage { id, .. } if spared.has_package(&id) => None,
        Action::PlacePackages { mut ids } => {
            ids.retain(|id| !spared.has_package(id));
            (!ids.is_empty()).then_some(Action::PlacePackages { ids })
        }
        Action::PlaceFile { path, .. } | Action::PlaceLink { path, .. }
            if spared.has_path(&path) =>
        {
            None
        }
        Action::PlaceUnits { mut units, form } => {
            units.retain(|(name, _)| !spared.has_path(&layout::unit(name)));
            Some(Action::PlaceUnits { units, form })
        }
        Action::BuildActiveSet { .. } | Action::SwitchName { .. } if spared.active_set => None,
        action => Some(action),
    }
}
