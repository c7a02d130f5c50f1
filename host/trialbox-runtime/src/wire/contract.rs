//! The names of the contract between an objective and its host.

/// The contract that this host offers.
pub const CONTRACT: &str = "trialbox:objective@0.1.0";

/// The path where a guest finds the directory for its checkpoints, by the contract.
pub const CHECKPOINT_PATH: &str = "/checkpoint";
