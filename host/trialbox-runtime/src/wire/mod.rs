//! The messages that the two processes exchange.

pub(crate) mod protocol;
