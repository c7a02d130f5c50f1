//! Looks up the owners of trials in the process table of this machine.

use trialbox_core::Json;
use trialbox_core::run::reap::{Evidence, Loss, OwnerState};
use trialbox_storage::platform::process::{Life, ProcessId};

/// Returns the state of an owner as this machine's process table shows it.
pub(crate) fn owner_state(owner: &Json) -> OwnerState {
    match ProcessId::from_json(owner).map_or(Life::Unknown, |id| id.life()) {
        Life::Alive => OwnerState::Alive,
        Life::Gone(evidence) => {
            OwnerState::Gone(Loss::of_process(Evidence::ProcessTable, &evidence))
        }
        Life::Unknown => OwnerState::Unknown,
    }
}
