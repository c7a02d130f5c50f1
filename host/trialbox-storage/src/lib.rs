//! Optuna's schema over SQLite and PostgreSQL, and over memory for tests and single calls.
//!
//! A [`Location`] is parsed from an address and opens a [`Storage`](trialbox_core::Storage). `rows` has the encoding of
//! values, `schema` the tables and their version; a backend adds its SQL and its transactions. `lock` keeps processes
//! apart that write to one database, on one machine or several. `spool` saves results that could not be recorded.
#![forbid(unsafe_code)]

pub mod doctor;
pub mod platform;
pub mod spool;

#[cfg(feature = "failpoints")]
pub mod failpoint;
mod foreign;
mod location;
mod lock;
mod memory;
mod neighbours;
mod postgres;
mod rows;
mod schema;
mod sql;
mod sqlite;

pub use location::{Create, Location, LockMode, Options, WaitCancellation};
pub use lock::holder::{HolderProbe, HolderState};
pub use memory::MemoryStorage;
pub use postgres::address::ServerAddress;
pub use sql::SqlStorage;

/// Marks a place where a test may let the process die. The arguments are formatted to the place's name. Expands to
/// nothing without the feature `failpoints`.
#[macro_export]
macro_rules! failpoint {
    ($($point:tt)*) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::hit(&::std::format!($($point)*));
        // Never called: the arguments count as used.
        #[cfg(not(feature = "failpoints"))]
        let _ = || ::std::format!($($point)*);
    };
}
