//! The files that one instance has seen, for `--deterministic`.

use std::collections::{HashMap, VecDeque};
use wasmtime::Result;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    DirectoryEntry, ErrorCode, MetadataHashValue,
};

/// What one instance has seen of its directories.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    /// Entries that are yet to be handed out, by the number of their stream.
    pub(crate) listings: HashMap<u32, VecDeque<Result<DirectoryEntry, ErrorCode>>>,
    /// Which numbers stand for which files.
    numbers: HashMap<(u64, u64), u64>,
}

impl SeenFiles {
    pub(crate) fn number(&mut self, hash: MetadataHashValue) -> MetadataHashValue {
        let next = self.numbers.len() as u64;
        let lower = *self.numbers.entry((hash.lower, hash.upper)).or_insert(next);
        MetadataHashValue { lower, upper: 0 }
    }
}
