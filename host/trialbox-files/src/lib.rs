//! The one way in which trialbox touches files beside a study: spool, lock, cache, checkpoints, reports, scripts.
//!
//! A study's folder may belong to a group, and a guest may write to a folder that was granted to it. So a name in such
//! a folder proves nothing: it may be a link to the user's own files, a FIFO that blocks its reader forever, a device.
//! This crate therefore
//!
//! - opens a folder once and works through its handle ([`Folder`]), so no later swap of a path component matters;
//! - writes under a random name that must not exist, syncs, and renames ([`Aside`]), so a file is there wholly or not
//!   at all, and a planted link is replaced and never followed;
//! - reads regular files only, never waits for one to be opened, and reads at most as much as the caller allows.
//!
//! The crate knows neither studies nor databases. `cargo xtask tidy` refuses `File::create` and its like elsewhere.
#![forbid(unsafe_code)]

mod beneath;
mod error;
mod folder;
mod kind;
mod mounts;
mod named;
mod place;
mod tree;
mod way;

pub use beneath::Beneath;
pub use error::FileError;
pub use folder::{Aside, Folder};
pub use kind::FileKind;
pub use mounts::Mounts;
pub use named::{
    check_named, check_regular, create_folders, create_named, open_named, place_named, read_named,
    read_with_time, remove_named_tree, rename_named, write_named, write_to_device,
};
pub use way::{Identity, Way};
