//! Images in a directory: the OCI layout that skopeo, oras and podman write.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError, shown};
use crate::manifest::{Blob, MAX_MANIFEST, Manifest, check};
use crate::source::Image;
use std::ffi::OsStr;
use std::path::Path;
use trialbox_files::Folder;

const HELP: &str = "write the layout again: skopeo copy docker://HOST/NAME:TAG oci:DIR:TAG";

/// Reads an objective of at most `limit` bytes. Returns the digest of its manifest too.
pub(crate) fn read(
    path: &Path,
    image: Option<&Image>,
    limit: u64,
) -> Result<(Vec<u8>, Digest), ShareError> {
    let what = format!("the layout {}", shown(path));
    let folder = Folder::open_named(path).map_err(|error| ShareError::file(error, HELP))?;
    let file = |name: &str| {
        folder.read(OsStr::new(name), MAX_MANIFEST).map_err(|error| {
            let not_there = error.is_not_found();
            let error = ShareError::file(error, HELP);
            if !not_there {
                return error;
            }
            ShareError::new(
                ErrorKind::NotFound,
                format!("{what}: expected the file `{name}`, found none"),
                HELP,
            )
        })
    };
    file("oci-layout")?;
    let index = Manifest::read(&what, &file("index.json")?)?;
    let chosen = match image {
        Some(Image::Manifest(digest)) => Chosen { digest: *digest, size: None },
        Some(Image::Tag(tag)) => index.tagged(&what, Some(tag))?.into(),
        None => index.tagged(&what, None)?.into(),
    };
    let blobs = Blobs { folder: &folder, what: &what };
    let (mut manifest, mut digest) = (blobs.manifest(chosen)?, chosen.digest);
    if let Some(inner) = manifest.chosen(&what)? {
        (manifest, digest) = (blobs.manifest(inner.into())?, inner.digest);
    }
    let layer = manifest.objective(&what)?;
    if layer.size > limit {
        return Err(ShareError::content(
            &what,
            &format!("expected an objective of at most {limit} bytes, found {}", layer.size),
        ));
    }
    let bytes = blobs.read(layer.digest, limit)?;
    Ok((check(&what, layer, bytes)?, digest))
}

/// A manifest that was chosen. By its digest alone its length is not known.
#[derive(Clone, Copy)]
struct Chosen {
    digest: Digest,
    size: Option<u64>,
}

impl From<Blob> for Chosen {
    fn from(blob: Blob) -> Self {
        Chosen { digest: blob.digest, size: Some(blob.size) }
    }
}

struct Blobs<'a> {
    folder: &'a Folder,
    what: &'a str,
}

impl Blobs<'_> {
    fn manifest(&self, chosen: Chosen) -> Result<Manifest, ShareError> {
        let bytes = self.read(chosen.digest, MAX_MANIFEST)?;
        let size = chosen.size.unwrap_or(bytes.len() as u64);
        let bytes = check(self.what, Blob { digest: chosen.digest, size }, bytes)?;
        Manifest::read(self.what, &bytes)
    }

    fn read(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, ShareError> {
        let open = self.folder.open_folder(OsStr::new("blobs"));
        let open = open.and_then(|blobs| blobs.open_folder(OsStr::new("sha256")));
        let read = open.and_then(|blobs| blobs.read(OsStr::new(&digest.hex()), limit));
        read.map_err(|error| {
            let problem = format!("{}: its blob cannot be read: {error}", self.what);
            ShareError { message: problem, ..ShareError::file(error, HELP) }
        })
    }
}
