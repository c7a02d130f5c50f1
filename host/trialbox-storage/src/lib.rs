//! Optuna's schema over SQLite, and over memory for tests and single calls.
//!
//! [`open`] turns an address into a [`Storage`](trialbox_core::storage::Storage). `rows` knows the encoding
//! of values, `schema` the tables and their version; a backend adds its SQL text and transactions.
#![forbid(unsafe_code)]

mod memory;
pub mod mount;
mod rows;
mod schema;
mod sqlite;
mod url;

pub use memory::MemoryStorage;
pub use sqlite::SqliteStorage;
pub use url::{Options, open};
