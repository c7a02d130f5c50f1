//! Listings of directories, which count as memory of the instance that holds them open.
//!
//! WASI's function reads a directory to its end when the instance opens it, and keeps the entries until the instance
//! drops the stream. Fifty streams over a large directory are half a gigabyte of the guest process.

use crate::guest::host_state::HostState;
use crate::guest::seen_files::Listing;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DirectoryEntryStream, ErrorCode, Host, HostDescriptor, HostDirectoryEntryStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

/// The interface of WASI whose functions are replaced.
pub(crate) const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12";

/// The memory of an entry beside its name: the entry, the allocation of the name, and its place in the buffer of WASI's
/// own listing, which lives as long as the stream.
const ENTRY_BYTES: u64 = 128;

/// Replaces WASI's functions for listings. The linker must already hold them. Entries are sorted if a trial must be
/// the same on every machine.
pub(crate) fn count_listings(linker: &mut Linker<HostState>, is_sorted: bool) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(FILESYSTEM)?;
    let stream = ResourceType::host::<DirectoryEntryStream>();
    types.resource("directory-entry-stream", stream, close)?;
    types.func_wrap("[method]descriptor.read-directory", move |store, (dir,)| {
        answer(store, |state| read_directory(state, dir, is_sorted))
    })?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, HostState>,
         (stream,): (Resource<DirectoryEntryStream>,)| {
            let listing = store.data_mut().seen_files.listings.get_mut(&stream.rep());
            let entry = listing.and_then(|listing| listing.entries.pop_front());
            Ok((entry.transpose(),))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Calls a function of the file system, and converts its error as WASI does.
pub(crate) fn answer<T>(
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
    is_sorted: bool,
) -> FsResult<Resource<DirectoryEntryStream>> {
    let stream = state.filesystem().read_directory(dir)?;
    let mut listing = Listing::default();
    loop {
        let again = Resource::new_borrow(stream.rep());
        let entry = match state.filesystem().read_directory_entry(again) {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => break,
            // An error may concern a single entry, such as a name that is not UTF-8.
            Err(error) => {
                let code = state.filesystem().convert_error_code(error);
                Err(code.map_err(FsError::trap)?)
            }
        };
        let name_bytes = entry.as_ref().map_or(0, |entry| entry.name.len());
        let bytes = ENTRY_BYTES + name_bytes as u64;
        state.meter.charge(bytes).map_err(FsError::trap)?;
        listing.bytes += bytes;
        listing.entries.push_back(entry);
    }
    if is_sorted {
        listing.entries.make_contiguous().sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) => a.name.cmp(&b.name),
            (a, b) => b.is_ok().cmp(&a.is_ok()),
        });
    }
    state.seen_files.listings.insert(stream.rep(), listing);
    Ok(stream)
}

/// Drops a stream and its listing.
fn close(mut store: StoreContextMut<'_, HostState>, number: u32) -> Result<()> {
    let state = store.data_mut();
    if let Some(listing) = state.seen_files.listings.remove(&number) {
        state.meter.give_back(listing.bytes);
    }
    HostDirectoryEntryStream::drop(&mut state.filesystem(), Resource::new_own(number))
}
