//! Everything that is shown to people and programs.

pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod finding;
pub(crate) mod finished;
pub(crate) mod objectives;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod rights;
pub(crate) mod screen;
pub(crate) mod trial;
