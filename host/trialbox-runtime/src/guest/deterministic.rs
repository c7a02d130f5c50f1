//! Deterministic trials: WASI without the answers that differ from run to run or from machine to machine.
//!
//! Random numbers follow from the trial's seed in any case. In a deterministic trial the clocks count their readings
//! and the time for which the guest wants to sleep, the entries of a directory are sorted, files have no times,
//! directories have no size, and identities are numbered in the order in which the guest asks for them. The engine
//! compiles NaNs to one bit pattern.

use crate::guest::counting_clock::CountingClock;
use crate::guest::host_state::HostState;
use crate::guest::listings::{FILESYSTEM, answer};
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DescriptorStat, DescriptorType, HostDescriptor, PathFlags,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

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
