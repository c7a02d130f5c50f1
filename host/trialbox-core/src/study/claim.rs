//! A claim: an attempt's right to write to a running trial, proven by the owner that is stored with the trial.

use crate::study::trial::{Param, TrialId, TrialNumber, TrialState};
use crate::value::json::Json;
use std::fmt;

/// The system attribute that names the attempt to which a RUNNING trial belongs.
pub const OWNER_ATTR: &str = "trialbox:owner";

/// The member of an owner that holds its token: 128 random bits in hexadecimal, which alone tell attempts apart. The
/// token is not a UUID, but the key is in databases and stays.
pub const OWNER_TOKEN: &str = "uuid";

/// The member of an owner that holds the trial's number. Optuna copies the attributes of a trial that it retries, the
/// owner too: an owner with another number in it says nothing about the worker of the copy.
pub const OWNER_TRIAL: &str = "trial";

/// Returns the owner as it is stored with a trial, with the trial's number in it.
pub fn owner_of(owner: &Json, number: TrialNumber) -> Json {
    let mut members = match owner {
        Json::Object(members) => members.clone(),
        other => vec![(OWNER_TOKEN.to_owned(), other.clone())],
    };
    members.push((OWNER_TRIAL.to_owned(), Json::from(number.0)));
    Json::Object(members)
}

/// The right to write to a running trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The trial.
    pub id: TrialId,
    /// The trial's number.
    pub number: TrialNumber,
    /// The owner, as it is stored with the trial.
    pub owner: Json,
}

/// A trial that has started and is the caller's to run, with what it brings from earlier attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct BegunTrial {
    /// The claim that later writes need.
    pub claim: Claim,
    /// The values that a user fixed when enqueueing the trial: external, by name.
    pub fixed_params: Vec<(String, Json)>,
    /// The parameters that the trial already has, because it is a retry.
    pub params: Vec<(String, Param)>,
    /// The first trial of which this one is a retry, or the trial itself. Random numbers follow from it, so that a
    /// retry draws what the lost trial drew.
    pub origin: TrialNumber,
}

/// The reason why a claim no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimLoss {
    /// The trial was deleted, or moved by a rename in the dashboard.
    Vanished,
    /// Another worker finished the trial.
    Finished(TrialState),
    /// Another worker owns the trial.
    TakenOver,
}

impl fmt::Display for ClaimLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimLoss::Vanished => f.write_str("it was deleted"),
            ClaimLoss::Finished(state) => write!(f, "another worker finished it as {state}"),
            ClaimLoss::TakenOver => f.write_str("another worker has taken it over"),
        }
    }
}
