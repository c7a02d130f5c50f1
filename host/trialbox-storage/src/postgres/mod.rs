//! PostgreSQL: an address as libpq reads it, and short connections, one for each transaction.
//!
//! A server allows few connections (100 by default) and a study has many workers, most of which compute. A worker
//! connects, runs one transaction and leaves; one that finds the server full, away or changing its primary tries again.

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod errors;
mod secrets;
mod transaction;
