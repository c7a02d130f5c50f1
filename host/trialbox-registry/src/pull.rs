//! Bringing the content of a source into the store.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use crate::http::Client;
use crate::layout;
use crate::registry::Registry;
use crate::source::{Image, Place, Source};
use crate::store::Store;
use std::time::Duration;
use trialbox_files::read_named;

/// The way in which the network is used.
#[derive(Debug, Clone, Copy)]
pub enum Network {
    /// Not at all.
    Never,
    /// With a limit of time for each request.
    Allowed {
        /// The longest time of a request with its answer.
        timeout: Duration,
        /// True if unencrypted connections to other machines are allowed.
        allow_http: bool,
    },
}

/// A content that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The content.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The digest of the image's manifest, if it has one and was read.
    pub manifest: Option<Digest>,
    /// True if the store had it.
    pub from_store: bool,
}

/// Brings a content of at most `limit` bytes. One whose digest is known is taken from the store if it is there. A new
/// one gets its name in the store when `accept` has accepted it.
///
/// # Errors
/// Fails if the source does not have it, and for content of another digest; nothing is kept then.
pub fn pull<E: From<ShareError>>(
    source: &Source,
    manifest: Option<Digest>,
    store: &Store,
    network: Network,
    limit: u64,
    accept: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<Pulled, E> {
    if let Some(digest) = source.digest {
        match store.read(digest, limit) {
            Ok(Some(bytes)) => return Ok(Pulled { bytes, digest, manifest, from_store: true }),
            Ok(None) => {}
            // A new copy takes the place of one that is damaged.
            Err(_) if !is_local_only(&source.place, network) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (bytes, manifest) = bring(source, manifest, network, limit)?;
    let digest = Digest::of(&bytes);
    if let Some(expected) = source.digest.filter(|expected| *expected != digest) {
        return Err(ShareError::digest(
            &format!("`{}`", source.place),
            &expected.to_string(),
            &digest.to_string(),
        )
        .into());
    }
    accept(&bytes)?;
    store.add(&bytes)?;
    Ok(Pulled { bytes, digest, manifest, from_store: false })
}

/// Returns whether nothing but the own store can have the content.
fn is_local_only(place: &Place, network: Network) -> bool {
    match place {
        Place::Own => true,
        Place::Web(_) | Place::Registry(..) => matches!(network, Network::Never),
        Place::File(_) | Place::Layout { .. } | Place::Store(_) => false,
    }
}

/// Reads the content at its place.
fn bring(
    source: &Source,
    manifest: Option<Digest>,
    network: Network,
    limit: u64,
) -> Result<(Vec<u8>, Option<Digest>), ShareError> {
    let no_digest = |what: &str| {
        ShareError::new(
            ErrorKind::Name,
            format!("expected the digest of {what}, found `{source}`"),
            format!("its author publishes it: trialbox pull '{source}#sha256=…'"),
        )
    };
    match &source.place {
        Place::File(path) => {
            let bytes = read_named(path, limit)
                .map_err(|error| ShareError::file(error, "give the path of an objective"))?;
            Ok((bytes, None))
        }
        Place::Layout { folder, image } => {
            let (bytes, manifest) = layout::read(folder, image.as_ref(), limit)?;
            Ok((bytes, Some(manifest)))
        }
        Place::Store(folder) => {
            let digest = source.digest.ok_or_else(|| no_digest("the content in a store"))?;
            match Store::new(folder).read(digest, limit)? {
                Some(bytes) => Ok((bytes, None)),
                None => Err(not_in_store(digest, &folder.display().to_string())),
            }
        }
        Place::Own => match source.digest {
            Some(digest) => Err(not_in_store(digest, "this user")),
            None => Err(no_digest("the content in the store")),
        },
        Place::Web(url) => {
            let client = client(source, network)?;
            if source.digest.is_none() {
                return Err(no_digest("a file of a web server"));
            }
            let answer = client.get(url, "*/*", None)?;
            match answer.status {
                200 => Ok((answer.read(limit)?, None)),
                _ => Err(answer.refused(&format!("`{}`", url.without_query()))),
            }
        }
        Place::Registry(repository, image) => {
            let client = client(source, network)?;
            // A tag that has moved still has the image that was pulled first.
            let image = manifest.map_or_else(|| image.clone(), Image::Manifest);
            let (bytes, manifest) = Registry::new(&client, repository)?.read(&image, limit)?;
            Ok((bytes, Some(manifest)))
        }
    }
}

fn client(source: &Source, network: Network) -> Result<Client, ShareError> {
    match network {
        Network::Allowed { timeout, allow_http } => Ok(Client::new(timeout, allow_http)),
        Network::Never => Err(ShareError::new(
            ErrorKind::Offline,
            format!("`{source}` is not in the store, and the network must not be used"),
            format!("where there is a network: trialbox pull '{source}'"),
        )),
    }
}

fn not_in_store(digest: Digest, whose: &str) -> ShareError {
    ShareError::new(
        ErrorKind::NotFound,
        format!("the store of {whose} does not have {digest}"),
        "`trialbox store list` lists its contents; trialbox pull SOURCE adds one",
    )
}
