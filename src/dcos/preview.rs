//! One line of a plan, as it is shown before anything is done.

use serde::{Deserialize, Serialize};

use super::action_key::ActionKey;

/// An action in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The name of the action, the same in every run.
    pub key: ActionKey,
    /// What it does, beginning with a verb.
    pub text: String,
}
