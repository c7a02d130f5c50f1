//! Optuna's schema over SQLite, and over memory for tests and single calls.
//!
//! [`open`] turns an address into a [`Storage`](trialbox_core::storage::Storage). `rows` knows the encoding
//! of values, `schema` the tables and their version; a backend adds its SQL text and transactions.
//! `patience` and `lock_file` keep any number of processes, on any number of machines, out of each other's way.
#![forbid(unsafe_code)]

pub mod mount;
pub mod process;
pub mod spool;

#[cfg(feature = "failpoints")]
pub mod failpoint;
mod lock_file;
mod memory;
mod patience;
mod rows;
mod schema;
mod sqlite;
mod url;

pub use memory::MemoryStorage;
pub use sqlite::SqliteStorage;
pub use url::{Create, LockMode, Options, Stopping, open, sqlite_path};

/// Marks a place where a test may let the process die, by a name that is formatted; nothing without the
/// feature `failpoints`.
#[macro_export]
macro_rules! failpoint {
    ($($point:tt)*) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::hit(&::std::format!($($point)*));
        // Not evaluated, but used.
        #[cfg(not(feature = "failpoints"))]
        let _ = || ::std::format!($($point)*);
    };
}
