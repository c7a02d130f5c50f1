//! The language of the two processes: the messages that they exchange and the values in them.

pub(crate) mod contract;
pub(crate) mod digest;
pub(crate) mod entry_key;
pub(crate) mod protocol;
pub(crate) mod python;
