//! Images in a directory: the OCI layout that skopeo, oras and podman write.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError, shown};
use crate::image::{MANIFEST, Objective, Pushed, descriptor};
use crate::manifest::{Blob, Descriptor, MAX_MANIFEST, Manifest, TAG, check};
use crate::source::Image;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;
use trialbox_files::{Folder, create_folders};

/// The file that lists the images.
const INDEX: &str = "index.json";

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
    let index = Manifest::read(&what, &file(INDEX)?)?;
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

/// Publishes an objective under a tag. A layout that does not exist is created; other images stay.
pub(crate) fn write(path: &Path, tag: &str, objective: &Objective) -> Result<Pushed, ShareError> {
    let Some(types) = objective.media_types().first().copied() else {
        return Err(ShareError::content(&shown(path), "expected media types, found none"));
    };
    let image = objective.image(types);
    let mut index = match Folder::open_named(path)
        .and_then(|folder| folder.read(INDEX.as_ref(), MAX_MANIFEST))
    {
        Ok(bytes) => index_of(path, &bytes)?,
        Err(error) if error.is_not_found() => json!({"schemaVersion": 2, "manifests": []}),
        Err(error) => return Err(ShareError::file(error, HELP)),
    };
    let mut entry = descriptor(MANIFEST, &image.manifest);
    entry["annotations"] = json!({TAG: tag});
    if let Some(Value::Array(manifests)) = index.get_mut("manifests") {
        manifests.retain(|manifest| manifest["annotations"][TAG] != tag);
        manifests.push(entry);
    }
    let write = || {
        create_folders(path, 0o777)?;
        let folder = Folder::open_named(path)?;
        let blobs = folder.open_or_create_folder("blobs".as_ref())?;
        let blobs = blobs.open_or_create_folder("sha256".as_ref())?;
        for blob in [&objective.bytes, &image.config, &image.manifest] {
            blobs.write(OsStr::new(&Digest::of(blob).hex()), blob)?;
        }
        folder.write("oci-layout".as_ref(), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        // The index comes last: what it names is there.
        folder.write(INDEX.as_ref(), index.to_string().as_bytes())
    };
    write().map_err(|error| ShareError {
        kind: ErrorKind::Files,
        ..ShareError::file(error, "choose another folder")
    })?;
    Ok(Pushed { manifest: Digest::of(&image.manifest), types, is_fallback: false })
}

/// Returns the tags of a layout.
pub(crate) fn tags(path: &Path) -> Result<Vec<String>, ShareError> {
    let read =
        Folder::open_named(path).and_then(|folder| folder.read(INDEX.as_ref(), MAX_MANIFEST));
    let bytes = read.map_err(|error| ShareError::file(error, HELP))?;
    let index = Manifest::read(&shown(path), &bytes)?;
    Ok(index.manifests.iter().filter_map(Descriptor::tag).map(str::to_owned).collect())
}

/// Reads an index, of which all that trialbox does not know stays as it is.
fn index_of(path: &Path, bytes: &[u8]) -> Result<Value, ShareError> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(index) if index["manifests"].is_array() => Ok(index),
        _ => Err(ShareError::content(
            &shown(path),
            "expected an index of the OCI in `index.json`, found other text",
        )),
    }
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
