//! Optuna's schema over SQLite, and over memory for tests and single calls.
//!
//! [`open`] turns an address into a [`Storage`](trialbox_core::Storage). `rows` knows the encoding
//! of values, `schema` the tables and their version; a backend adds its SQL text and transactions.
//! `patience` and `lock_file` keep any number of processes, on any number of machines, out of each other's way.
#![forbid(unsafe_code)]

pub mod doctor;
pub mod platform;
pub mod spool;

#[cfg(feature = "failpoints")]
pub mod failpoint;
mod location;
mod lock;
mod memory;
mod rows;
mod schema;
mod sqlite;

pub use location::{Create, LockMode, Options, WaitCancellation, open, sqlite_path};
pub use memory::MemoryStorage;
pub use sqlite::SqliteStorage;

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
