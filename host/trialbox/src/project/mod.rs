//! The folder of an objective: the templates and the SDK that this binary carries, and the project in a folder.

pub(crate) mod cargo;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod found;
pub(crate) mod sdk;
pub(crate) mod template;
