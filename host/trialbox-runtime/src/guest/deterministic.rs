//! What `--deterministic` takes from a guest: everything that WASI tells it and that differs from run to run or
//! from machine to machine.
//!
//! Random numbers follow from the trial's seed in any case. Here the clocks count how often they are read and how long
//! the guest wants to sleep, the entries of a directory are sorted, files have no times, directories no size, and
//! identities are numbered in the order in which the guest looks at them. The engine does its part by compiling NaNs
//! to one bit pattern.

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

/// A time that has come.
struct Now;

#[wasmtime_wasi::async_trait]
impl Pollable for Now {
    async fn ready(&mut self) {}
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
