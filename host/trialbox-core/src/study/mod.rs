//! The records of a study and its trials, and the rules that read nothing else: limits, constraints, failures, the end
//! of a study, the transitions of a trial.

pub mod record;
pub mod trial;

pub mod artifact;
pub mod search_space;

pub mod history;

pub mod batch;
pub mod claim;
pub mod enqueue;
pub mod lease;
pub mod outcome;

pub mod constraint;
pub mod failure;
pub mod limits;
pub mod provenance;
pub mod retry;
pub mod stopping;
pub mod usage;

pub mod ledger;
