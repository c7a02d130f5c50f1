//! The guest process's side: it compiles the objective, confines itself and calls the objective. It never names a
//! session or a storage.

pub(crate) mod bindings;
pub(crate) mod cache;
pub(crate) mod counting_clock;
pub(crate) mod deterministic;
pub(crate) mod engine;
pub(crate) mod environment;
#[cfg(feature = "failpoints")]
pub(crate) mod escaped;
pub(crate) mod failure;
pub(crate) mod host_state;
#[cfg(feature = "failpoints")]
pub(crate) mod impostor;
pub(crate) mod link;
pub(crate) mod listings;
pub(crate) mod lockdown;
pub(crate) mod meter;
pub(crate) mod process;
pub(crate) mod proposals;
pub(crate) mod python;
pub(crate) mod refusal;
pub(crate) mod seen_files;
pub(crate) mod signals;
pub(crate) mod signature;
