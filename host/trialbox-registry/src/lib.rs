//! Objectives that are shared: one name for any source, and a store in which each is kept under its digest.
//!
//! All that comes from a registry, a layout, another store or a server is foreign: sizes are bounded, digests compared
//! before anything gets a name in the store, links never followed, and credentials never sent to another host than the
//! one that they are for. The crate knows bytes; its caller decides whether they are an objective.
#![forbid(unsafe_code)]

mod access;
mod credentials;
mod digest;
mod error;
mod http;
mod image;
mod layout;
mod lock;
mod manifest;
mod pull;
mod push;
mod registry;
mod source;
mod store;
mod url;

pub use digest::Digest;
pub use error::{ErrorKind, ShareError};
pub use image::{MediaTypes, Objective, Pushed};
pub use lock::{LOCK, Lock, Locked};
pub use pull::{Network, Pulled, pull};
pub use push::{push, tag, tags};
pub use source::{Place, Source};
pub use store::{Entry, Store};
