//! What `--deterministic` takes from a guest: everything that WASI tells it and that differs from run to run or
//! from machine to machine.
//!
//! Random numbers follow from the trial's seed in any case. Here the clocks count how often they are read, the
//! entries of a directory are sorted, files have no times, and their identities are numbered in the order in
//! which the guest looks at them. The engine does its part by compiling NaNs to one bit pattern.

use crate::host_state::HostState;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DescriptorStat, DirectoryEntry, DirectoryEntryStream, ErrorCode, Host,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, PathFlags,
};

/// How far the clocks go with each look at one: a guest that waits for time to pass does not wait for ever.
const TICK: Duration = Duration::from_millis(1);

/// What the wall clock begins with: 2000-01-01 00:00 UTC. Programs that take their clock for unset refuse 1970.
const EPOCH: Duration = Duration::from_secs(946_684_800);

const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12";

/// A clock that counts the looks at it.
#[derive(Debug, Clone, Default)]
struct CountingClock(Arc<AtomicU64>);

impl CountingClock {
    fn look(&self) -> Duration {
        let looks = self.0.fetch_add(1, Ordering::Relaxed);
        TICK * u32::try_from(looks).unwrap_or(u32::MAX)
    }
}

impl HostWallClock for CountingClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        EPOCH + self.look()
    }
}

impl HostMonotonicClock for CountingClock {
    fn resolution(&self) -> u64 {
        TICK.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.look().as_nanos() as u64
    }
}

/// Gives a guest clocks that are the same in every run.
pub(crate) fn fix_clocks(wasi: &mut WasiCtxBuilder) {
    let clock = CountingClock::default();
    wasi.wall_clock(clock.clone()).monotonic_clock(clock);
}

/// What one instance has seen of its directories.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    /// Entries that are yet to be handed out, by the number of their stream.
    listings: HashMap<u32, VecDeque<DirectoryEntry>>,
    /// Which numbers stand for which files.
    numbers: HashMap<(u64, u64), u64>,
}

impl SeenFiles {
    fn number(&mut self, hash: MetadataHashValue) -> MetadataHashValue {
        let next = self.numbers.len() as u64;
        let lower = *self.numbers.entry((hash.lower, hash.upper)).or_insert(next);
        MetadataHashValue { lower, upper: 0 }
    }
}

/// Puts functions in the place of those of WASI's file system whose answers depend on the machine. They need
/// what is defined there before.
pub(crate) fn fix_filesystem(linker: &mut Linker<HostState>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(FILESYSTEM)?;
    types.func_wrap("[method]descriptor.read-directory", |store, (dir,)| {
        answer(store, |state| read_directory(state, dir))
    })?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, HostState>,
         (stream,): (Resource<DirectoryEntryStream>,)| {
            let listing = store.data_mut().seen_files.listings.get_mut(&stream.rep());
            let entry = listing.and_then(VecDeque::pop_front);
            Ok((Ok::<Option<DirectoryEntry>, ErrorCode>(entry),))
        },
    )?;
    types.func_wrap("[method]descriptor.stat", |store, (file,)| {
        answer(store, |state| state.filesystem().stat(file).map(without_times))
    })?;
    types.func_wrap("[method]descriptor.stat-at", |store, (dir, flags, path)| {
        answer(store, |state| state.filesystem().stat_at(dir, flags, path).map(without_times))
    })?;
    types.func_wrap("[method]descriptor.metadata-hash", |store, (file,)| {
        answer(store, |state| {
            let hash = state.filesystem().metadata_hash(file)?;
            Ok(state.seen_files.number(hash))
        })
    })?;
    types.func_wrap(
        "[method]descriptor.metadata-hash-at",
        |store, (dir, flags, path): (Resource<Descriptor>, PathFlags, String)| {
            answer(store, |state| {
                let hash = state.filesystem().metadata_hash_at(dir, flags, path)?;
                Ok(state.seen_files.number(hash))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Calls what may fail as functions of the file system do, and answers as they do.
fn answer<T>(
    mut store: StoreContextMut<'_, HostState>,
    call: impl FnOnce(&mut HostState) -> FsResult<T>,
) -> Result<(Result<T, ErrorCode>,)> {
    let state = store.data_mut();
    Ok((match call(state) {
        Ok(value) => Ok(value),
        Err(error) => Err(state.filesystem().convert_error_code(error)?),
    },))
}

fn read_directory(
    state: &mut HostState,
    dir: Resource<Descriptor>,
) -> FsResult<Resource<DirectoryEntryStream>> {
    let stream = state.filesystem().read_directory(dir)?;
    let again = || Resource::new_borrow(stream.rep());
    let mut entries = Vec::new();
    while let Some(entry) = state.filesystem().read_directory_entry(again())? {
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    // Of a stream that was dropped, the number may be used again.
    state.seen_files.listings.insert(stream.rep(), entries.into());
    Ok(stream)
}

fn without_times(stat: DescriptorStat) -> DescriptorStat {
    DescriptorStat {
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
        ..stat
    }
}
