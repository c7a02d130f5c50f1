//! The host process's side: it checks an objective's bytes, starts the guest process, answers its calls, and ends it
//! at a limit. It never names the wasm engine.

pub(crate) mod call;
pub(crate) mod code_cache;
pub(crate) mod config;
pub(crate) mod deadline;
pub(crate) mod interrupt;
pub(crate) mod isolation;
pub(crate) mod open;
pub(crate) mod outgoing;
pub(crate) mod precheck;
pub(crate) mod python;
pub(crate) mod running_guest;
pub(crate) mod sandbox;
pub(crate) mod scratch;
pub(crate) mod stamp;
pub(crate) mod stdio;
