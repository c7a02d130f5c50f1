//! The records of a study and its trials, and the rules that read nothing else: limits, constraints, failures, the end
//! of a study.

pub mod record;
pub mod trial;

pub mod search_space;

pub mod history;

pub mod constraint;
pub mod failure;
pub mod limits;
pub mod provenance;
pub mod stopping;
pub mod usage;
