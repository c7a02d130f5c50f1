//! What `--deterministic` takes from a guest: everything that WASI tells it and that differs from run to run or
//! from machine to machine.
//!
//! Random numbers follow from the trial's seed in any case. Here the clocks count how often they are read and how long
//! the guest wants to sleep, the entries of a directory are sorted, files have no times, directories no size, and
//! identities are numbered in the order in which the guest looks at them. The engine does its part by compiling NaNs
//! to one bit pattern.

use crate::guest::host_state::HostState;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, PathFlags,
};
use wasmtime_wasi::p2::{DynPollable, FsError, FsResult, Pollable, subscribe};
use wasmtime_wasi::{WasiCtxBuilder, WasiView as _};

/// How far the clocks go with each look at one: a guest that waits for time to pass does not wait for ever. Who sleeps
/// finds that as much time has passed, and has not slept.
const TICK: Duration = Duration::from_millis(1);

/// What the wall clock begins with: 2000-01-01 00:00 UTC. Programs that take their clock for unset refuse 1970.
const EPOCH: Duration = Duration::from_secs(946_684_800);

const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12";

const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// A clock that counts the looks at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingClock(Arc<AtomicU64>);

impl CountingClock {
    /// The time since the trial began, and goes on.
    fn look(&self) -> Duration {
        Duration::from_nanos(self.0.fetch_add(TICK.as_nanos() as u64, Ordering::Relaxed))
    }

    fn advance(&self, nanos: u64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_add(nanos))
        });
    }

    fn advance_to(&self, nanos: u64) {
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

/// A time that has come.
struct Now;

#[wasmtime_wasi::async_trait]
impl Pollable for Now {
    async fn ready(&mut self) {}
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
pub(crate) fn fix_clocks(wasi: &mut WasiCtxBuilder, clock: &CountingClock) {
    wasi.wall_clock(clock.clone()).monotonic_clock(clock.clone());
}

/// Puts functions in the place of those of WASI whose answers depend on the machine. They need what is defined there
/// before.
pub(crate) fn fix_functions(linker: &mut Linker<HostState>) -> Result<()> {
    linker.allow_shadowing(true);
    fix_sleep(linker)?;
    fix_filesystem(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Lets sleeping be a step of the clock: how long the machine takes over it is nothing that two runs agree on.
fn fix_sleep(linker: &mut Linker<HostState>) -> Result<()> {
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    clock.func_wrap("subscribe-duration", |store, (nanos,): (u64,)| {
        pass(store, |clock| clock.advance(nanos))
    })?;
    clock.func_wrap("subscribe-instant", |store, (nanos,): (u64,)| {
        pass(store, |clock| clock.advance_to(nanos))
    })?;
    Ok(())
}

/// Moves the clock, and gives what waits for that.
fn pass(
    mut store: StoreContextMut<'_, HostState>,
    step: impl FnOnce(&CountingClock),
) -> Result<(Resource<DynPollable>,)> {
    let state = store.data_mut();
    step(&state.clock);
    let table = state.ctx().table;
    let now = table.push(Now)?;
    Ok((subscribe(table, now)?,))
}

/// What one instance has seen of its directories.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    /// Entries that are yet to be handed out, by the number of their stream.
    listings: HashMap<u32, VecDeque<Result<DirectoryEntry, ErrorCode>>>,
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

fn fix_filesystem(linker: &mut Linker<HostState>) -> Result<()> {
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
            Ok((entry.transpose(),))
        },
    )?;
    types.func_wrap("[method]descriptor.stat", |store, (file,)| {
        answer(store, |state| state.filesystem().stat(file).map(as_content_has_it))
    })?;
    types.func_wrap("[method]descriptor.stat-at", |store, (dir, flags, path)| {
        answer(store, |state| state.filesystem().stat_at(dir, flags, path).map(as_content_has_it))
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
    loop {
        match state.filesystem().read_directory_entry(again()) {
            Ok(Some(entry)) => entries.push(Ok(entry)),
            Ok(None) => break,
            // Of a single entry, such as a name that is not UTF-8.
            Err(error) => {
                let code = state.filesystem().convert_error_code(error);
                entries.push(Err(code.map_err(FsError::trap)?));
            }
        }
    }
    entries.sort_by(|a, b| match (a, b) {
        (Ok(a), Ok(b)) => a.name.cmp(&b.name),
        (a, b) => b.is_ok().cmp(&a.is_ok()),
    });
    // Of a stream that was dropped, the number may be used again.
    state.seen_files.listings.insert(stream.rep(), entries.into());
    Ok(stream)
}

/// What a file's own content and its place do not say. How large a directory is, and how many links lead to it, is up
/// to the file system.
fn as_content_has_it(stat: DescriptorStat) -> DescriptorStat {
    let is_directory = stat.type_ == DescriptorType::Directory;
    DescriptorStat {
        size: if is_directory { 0 } else { stat.size },
        link_count: if is_directory { 1 } else { stat.link_count },
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
        ..stat
    }
}
