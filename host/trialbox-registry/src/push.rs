//! Publishing an objective, and the tags of a repository.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use crate::http::Client;
use crate::image::{Objective, Pushed};
use crate::layout;
use crate::pull::Network;
use crate::registry::Registry;
use crate::source::{Image, Place, Repository, Source, is_tag};

/// Publishes an objective in a registry or a layout, under a tag.
///
/// # Errors
/// Fails for another destination, and if it does not take the objective.
pub fn push(objective: &Objective, to: &Source, network: Network) -> Result<Pushed, ShareError> {
    match (&to.place, to.digest) {
        (Place::Registry(repository, Image::Tag(tag)), None) => {
            let client = client(network)?;
            Registry::to_write(&client, repository)?.write(tag, objective)
        }
        (Place::Layout { folder, image: Some(Image::Tag(tag)) }, None) => {
            layout::write(folder, tag, objective)
        }
        _ => Err(ShareError::new(
            ErrorKind::Name,
            format!("expected a destination with a tag, found `{to}`"),
            "destinations: HOST/NAME:TAG, oci:DIR:TAG",
        )),
    }
}

/// Returns the tags of a repository, in order, named with any of its tags or without one.
///
/// # Errors
/// Fails if the registry does not say them.
pub fn tags(of: &str, network: Network) -> Result<Vec<String>, ShareError> {
    if let Some(folder) = of.strip_prefix("oci:") {
        return layout::tags(folder.as_ref());
    }
    let mut tags = Registry::new(&client(network)?, &repository(of)?)?.tags()?;
    tags.sort();
    Ok(tags)
}

/// Gives the image of a registry another tag in its repository.
///
/// # Errors
/// Fails for another source, and if the registry does not take the tag.
pub fn tag(source: &Source, tag: &str, network: Network) -> Result<Digest, ShareError> {
    let Place::Registry(repository, image) = &source.place else {
        return Err(ShareError::new(
            ErrorKind::Name,
            format!("expected an image of a registry, found `{source}`"),
            "name it as HOST/NAME:TAG or HOST/NAME@sha256:…",
        ));
    };
    if !is_tag(tag) {
        return Err(ShareError::new(
            ErrorKind::Name,
            format!("expected a tag of 1 to 128 of a-z, A-Z, 0-9, `_`, `.` and `-`, found `{tag}`"),
            "give a version, such as 1.2",
        ));
    }
    Registry::to_write(&client(network)?, repository)?.tag(image, tag)
}

/// Reads the name of a repository, without a tag or with one.
fn repository(text: &str) -> Result<Repository, ShareError> {
    let named = Source::parse(text)?;
    let named = match named.place {
        Place::File(_) => Source::parse(&format!("{text}:latest"))?,
        _ => named,
    };
    match named.place {
        Place::Registry(repository, _) => Ok(repository),
        _ => Err(ShareError::new(
            ErrorKind::Name,
            format!("expected a repository, found `{text}`"),
            "name it as HOST/NAME, or a layout as oci:DIR",
        )),
    }
}

fn client(network: Network) -> Result<Client, ShareError> {
    match network {
        Network::Allowed { timeout, allow_http } => Ok(Client::new(timeout, allow_http)),
        Network::Never => Err(ShareError::new(
            ErrorKind::Offline,
            "expected a network, which must not be used",
            "publish where there is one",
        )),
    }
}
