//! The files that one instance has seen: the directories that it holds open, and identities for deterministic trials.

use std::collections::{HashMap, VecDeque};
use wasmtime::Result;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    DirectoryEntry, ErrorCode, MetadataHashValue,
};

/// The listings and identities of files that one instance has seen.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    /// The open listings of directories, by the number of their stream.
    pub(crate) listings: HashMap<u32, Listing>,
    /// The numbers that stand for the identities of files.
    numbers: HashMap<(u64, u64), u64>,
}

/// A listing of a directory that an instance holds open.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The entries that are still to be handed out.
    pub(crate) entries: VecDeque<Result<DirectoryEntry, ErrorCode>>,
    /// The memory that was charged for it.
    pub(crate) bytes: u64,
}

impl SeenFiles {
    /// Replaces an identity by a number, in the order in which the instance asks.
    pub(crate) fn number(&mut self, hash: MetadataHashValue) -> MetadataHashValue {
        let next = self.numbers.len() as u64;
        let lower = *self.numbers.entry((hash.lower, hash.upper)).or_insert(next);
        MetadataHashValue { lower, upper: 0 }
    }
}
