//! SQLite: connections to files that any number of processes share, Python's Optuna among them. `open` opens
//! connections, `connection` runs transactions.

pub(crate) mod connection;
pub(crate) mod errors;
mod exclusion;
mod identity;
pub(crate) mod open;
mod transaction;

pub(crate) use exclusion::{is_on_network, lock_file_of};
