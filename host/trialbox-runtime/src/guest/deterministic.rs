//! Deterministic trials: WASI without the answers that differ from run to run or from machine to machine.
//!
//! Random numbers follow from the trial's seed in any case. In a deterministic trial the clocks count their readings
//! and the time for which the guest wants to sleep, the entries of a directory are sorted, files have no times,
//! directories have no size, and identities are numbered in the order in which the guest asks for them. The engine
//! compiles NaNs to one bit pattern.

use crate::guest::counting_clock::CountingClock;
use crate::guest::host_state::HostState;
use std::collections::VecDeque;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DescriptorStat, DescriptorType, DirectoryEntryStream, ErrorCode, Host,
    HostDescriptor, HostDirectoryEntryStream, PathFlags,
};
use wasmtime_wasi::p2::{DynPollable, FsError, FsResult, Pollable, subscribe};

const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12";

const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// A point in time that has passed.
struct Now;

#[wasmtime_wasi::async_trait]
impl Pollable for Now {
    async fn ready(&mut self) {}
}

/// Replaces the functions of WASI whose answers depend on the machine. The linker must already hold the functions of
/// WASI.
pub(crate) fn fix_functions(linker: &mut Linker<HostState>) -> Result<()> {
    linker.allow_shadowing(true);
    fix_sleep(linker)?;
    fix_filesystem(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Turns a sleep into a step of the clock, because the real duration differs from run to run.
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

/// Moves the clock, and returns a pollable that is ready.
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
    Ok(())
}

/// Calls a function of the file system, and converts its error as WASI does.
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
            // An error may concern a single entry, such as a name that is not UTF-8.
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
    // The number may be that of an earlier stream, which was dropped.
    state.seen_files.listings.insert(stream.rep(), entries.into());
    Ok(stream)
}

/// Removes the times of a file, which the content does not determine. The file system alone determines the size of a
/// directory and the number of links to it.
fn without_times(stat: DescriptorStat) -> DescriptorStat {
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
