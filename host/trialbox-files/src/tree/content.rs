//! The content of a file, whose copy takes no more of the disk than it does itself.

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

/// The number of bytes that are copied between two syncs.
const PIECE: u64 = 64 << 20;

/// The number of bytes that one read of a file with holes takes.
const CHUNK: usize = 64 << 10;

/// The smallest part of a file that most disks store, in bytes.
const BLOCK: usize = 4 << 10;

/// Copies a file's content to an empty one, and syncs it. `go_on` is called in between, and its error ends the work.
///
/// # Errors
/// Those of the file system.
pub(super) fn copy(
    source: &File,
    target: &File,
    stat: &Stat,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    // The size at the start counts: a process may append to the file for ever.
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let taken = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
    if taken >= size {
        whole(source, target, size, go_on)
    } else {
        parts(source, target, size, go_on)
    }?;
    target.sync_all()
}

/// Copies a file without holes. Some file systems share the blocks that are copied in this way.
fn whole(
    source: &File,
    mut target: &File,
    size: u64,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let mut left = size;
    while left > 0 {
        let copied = io::copy(&mut source.take(left.min(PIECE)), &mut target)?;
        left = if copied == 0 { 0 } else { left - copied };
        // Piece by piece, because a sync at the end would take as long as all of it, and could not be ended.
        target.sync_data()?;
        go_on()?;
    }
    Ok(())
}

/// Copies a file with holes, which stay holes.
fn parts(
    source: &File,
    target: &File,
    size: u64,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    // Some file systems have told of holes where there was data that was not yet on the disk.
    let _ = source.sync_data();
    target.set_len(size)?;
    let mut at = 0;
    while let Some((start, end)) = next_part(source, at, size)? {
        at = start;
        while at < end {
            let until = end.min(at + PIECE);
            part(source, target, at, until)?;
            target.sync_data()?;
            go_on()?;
            at = until;
        }
    }
    Ok(())
}

/// Returns the first range of data at or after an offset, or `None` if only holes follow.
fn next_part(source: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let start = match seek(source, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that does not know of holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, size))),
        Err(error) => return Err(error.into()),
    };
    // If a process shortens the file meanwhile, the kernel finds no end. A part of one byte still makes progress.
    let end = seek(source, SeekFrom::Hole(start)).unwrap_or(size).max(start + 1);
    Ok((start < size).then_some((start, end.min(size))))
}

/// Copies a part, and leaves out blocks of zeros: not every file system says where the holes are, and a file that is
/// compressed has none.
fn part(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut at = start;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let n_read = match source.read_at(&mut chunk[..wanted], at) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            n_read => n_read?,
        };
        for (block, offset) in chunk[..n_read].chunks(BLOCK).zip((at..).step_by(BLOCK)) {
            if block.iter().any(|&byte| byte != 0) {
                target.write_all_at(block, offset)?;
            }
        }
        at += n_read as u64;
    }
    Ok(())
}
