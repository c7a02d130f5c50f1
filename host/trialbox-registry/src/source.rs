//! The name of a source: where an objective lies, and the digest that it must have.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use crate::url::Url;
use std::fmt;
use std::path::PathBuf;

/// The longest name that is read.
const MAX_NAME: usize = 4096;

/// A place, and the digest that its content must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The place.
    pub place: Place,
    /// The digest of the content, of `#sha256=…` or of `sha256:…`.
    pub digest: Option<Digest>,
}

/// A place where an objective lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A file of a web server.
    Web(Url),
    /// An image of an OCI layout, which is a directory.
    Layout {
        /// The directory.
        folder: PathBuf,
        /// The image; `None` for the only one.
        image: Option<Image>,
    },
    /// An image of a registry.
    Registry(Repository, Image),
    /// Another store.
    Store(PathBuf),
    /// This machine's store.
    Own,
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The host, with a port if it has one.
    pub host: String,
    /// The name below the host.
    pub name: String,
}

/// An image of a repository or a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The image that has this tag now.
    Tag(String),
    /// The image whose manifest has this digest.
    Manifest(Digest),
}

impl Source {
    /// Reads the name of a source. Whatever has no other form is the path of a file.
    ///
    /// # Errors
    /// Fails for a name that starts as a source does and breaks its form.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(wrong(text, "a name of 1 to 4096 bytes"));
        }
        let (place, digest) = match text.rsplit_once("#sha256=") {
            Some((place, hex)) => {
                let digest = Digest::from_hex(hex);
                let digest =
                    digest.ok_or_else(|| wrong(text, "64 hexadecimal digits after `#sha256=`"))?;
                (place, Some(digest))
            }
            None => (text, None),
        };
        if let Some(hex) = place.strip_prefix("sha256:") {
            let digest =
                Digest::from_hex(hex).filter(|found| digest.is_none_or(|digest| digest == *found));
            let digest =
                digest.ok_or_else(|| wrong(text, "64 hexadecimal digits after `sha256:`"))?;
            return Ok(Source { place: Place::Own, digest: Some(digest) });
        }
        Ok(Source { place: Place::parse(place)?, digest })
    }

    /// Returns whether a text has the form of a source that is not a plain path.
    pub fn is_reference(text: &str) -> bool {
        !matches!(Self::parse(text), Ok(Source { place: Place::File(_), digest: None }))
    }

    /// Returns the name of the place, without digest and tag: the end of it names the objective.
    pub fn name(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Web(url) => url.without_query(),
            Place::Layout { folder, .. } => folder.display().to_string(),
            Place::Registry(repository, _) => repository.to_string(),
            Place::Store(_) | Place::Own => match self.digest {
                Some(digest) => format!("sha256-{}", &digest.hex()[..12]),
                None => "objective".to_owned(),
            },
        }
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, ShareError> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Place::Web(
                Url::parse(text)
                    .ok_or_else(|| wrong(text, "an address such as https://host/file"))?,
            ));
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            if rest.starts_with("//") {
                return Err(ShareError::new(
                    ErrorKind::Name,
                    format!("expected a source, found `{text}`"),
                    "a registry is named without a scheme (ghcr.io/lab/digits:1.2), a layout by its directory \
                     (oci:DIR:TAG)",
                ));
            }
            let (folder, image) = split_image(rest, text)?;
            if folder.is_empty() {
                return Err(wrong(text, "a directory after `oci:`"));
            }
            return Ok(Place::Layout { folder: folder.into(), image });
        }
        if let Some(folder) = text.strip_prefix("store:") {
            return match folder {
                "" => Err(wrong(text, "a directory after `store:`")),
                folder => Ok(Place::Store(folder.into())),
            };
        }
        match text.split_once('/') {
            Some((host, rest)) if is_host(host) => registry(host, rest, text),
            _ => Ok(Place::File(text.into())),
        }
    }
}

/// Reads what follows the host of a registry. Without tag and digest it may be a path of a folder with a dot.
fn registry(host: &str, rest: &str, text: &str) -> Result<Place, ShareError> {
    let (name, image) = match split_image(rest, text) {
        Ok(split) => split,
        // A path may have any characters; with a digest it is meant for a registry.
        Err(error) if rest.contains("@sha256:") => return Err(error),
        Err(_) => return Ok(Place::File(text.into())),
    };
    match image {
        Some(image) if is_repository(name) => {
            Ok(Place::Registry(Repository { host: host.to_owned(), name: name.to_owned() }, image))
        }
        Some(_) => Err(wrong(
            text,
            "a repository of lower-case letters, digits, `-`, `_` and `.`, with `/` between names",
        )),
        None => Ok(Place::File(text.into())),
    }
}

/// Divides `NAME:TAG`, `NAME@sha256:…` and `NAME:TAG@sha256:…`, of which the digest decides.
fn split_image<'a>(rest: &'a str, text: &str) -> Result<(&'a str, Option<Image>), ShareError> {
    if let Some((name, digest)) = rest.split_once('@') {
        let digest = Digest::from_oci(digest);
        let digest =
            digest.ok_or_else(|| wrong(text, "`sha256:` and 64 hexadecimal digits after `@`"))?;
        let name = divide_tag(name).map_or(name, |(name, _)| name);
        return Ok((name, Some(Image::Manifest(digest))));
    }
    match divide_tag(rest) {
        None => Ok((rest, None)),
        Some((name, tag)) if is_tag(tag) => Ok((name, Some(Image::Tag(tag.to_owned())))),
        Some(_) => Err(wrong(text, "a tag of 1 to 128 of a-z, A-Z, 0-9, `_`, `.` and `-`")),
    }
}

/// Divides a name from the tag behind its last colon, which has no `/`.
fn divide_tag(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

/// Returns whether a text is a tag. `..` and what has a `/` is none.
pub(crate) fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&tag.len())
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

/// Returns whether a text is a host as registries are named: with a dot, with a port, or `localhost`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
    };
    let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    name.split('.').all(is_label)
        && (port.is_none() || has_port)
        && (has_port || name.contains('.') || name == "localhost")
}

/// Returns whether a text is a repository's name. Neither `..` nor an empty name is a part of one.
fn is_repository(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_end)
            && part.ends_with(is_end)
            && !part.contains("..")
            && part.chars().all(|c| is_end(c) || matches!(c, '.' | '_' | '-'))
    };
    text.len() <= 255 && text.split('/').all(is_part)
}

fn wrong(text: &str, expected: &str) -> ShareError {
    ShareError::new(
        ErrorKind::Name,
        format!("expected {expected}, found `{text}`"),
        "sources: FILE, https://HOST/FILE#sha256=…, HOST/NAME:TAG, HOST/NAME@sha256:…, oci:DIR:TAG, store:DIR#sha256=…",
    )
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.digest) {
            (Place::Own, Some(digest)) => write!(f, "{digest}"),
            (place, Some(digest)) => write!(f, "{place}#sha256={}", digest.hex()),
            (place, None) => write!(f, "{place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Web(url) => write!(f, "{url}"),
            Place::Layout { folder, image: None } => write!(f, "oci:{}", folder.display()),
            Place::Layout { folder, image: Some(image) } => {
                write!(f, "oci:{}{image}", folder.display())
            }
            Place::Registry(repository, image) => write!(f, "{repository}{image}"),
            Place::Store(folder) => write!(f, "store:{}", folder.display()),
            Place::Own => f.write_str("the store"),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Image::Tag(tag) => write!(f, ":{tag}"),
            Image::Manifest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_form_of_a_source_is_read_and_written_again() {
        let pinned = |text: &str| text.replace("HEX", HEX);
        for text in [
            "digits.wasm",
            "./digits.wasm",
            "../a:b/digits.wasm",
            "my.folder/digits.wasm",
            "digits.wasm#sha256=HEX",
            "https://zenodo.org/records/1/files/digits.wasm?download=1#sha256=HEX",
            "http://127.0.0.1:8080/digits.wasm#sha256=HEX",
            "ghcr.io/lab/digits:1.2",
            "ghcr.io/lab/digits@sha256:HEX",
            "localhost/digits:1",
            "localhost:5000/digits:1",
            "ghcr.io/lab/digits:1.2#sha256=HEX",
            "oci:layout",
            "oci:layout:1.2",
            "oci:/a:b/layout:1.2",
            "oci:layout@sha256:HEX",
            "store:/project/store#sha256=HEX",
            "sha256:HEX",
        ] {
            let text = pinned(text);
            let source = Source::parse(&text).expect(&text);
            assert_eq!(source.to_string(), text);
            let is_file = matches!(source.place, Place::File(_)) && source.digest.is_none();
            assert_eq!(Source::is_reference(&text), !is_file, "{text}");
        }
        let both = Source::parse(&pinned("ghcr.io/lab/digits:1.2@sha256:HEX")).expect("both");
        assert_eq!(both.to_string(), pinned("ghcr.io/lab/digits@sha256:HEX"));
    }

    #[test]
    fn a_name_that_breaks_its_form_is_refused_with_what_was_expected() {
        for (text, expected) in [
            ("", "1 to 4096 bytes"),
            ("digits.wasm#sha256=12", "64 hexadecimal digits"),
            ("sha256:12", "64 hexadecimal digits"),
            ("ghcr.io/lab/digits@sha256:12", "64 hexadecimal digits"),
            ("ghcr.io/../etc:1", "a repository of lower-case letters"),
            ("ghcr.io/Lab/digits:1", "a repository of lower-case letters"),
            ("ghcr.io//digits:1", "a repository of lower-case letters"),
            ("oci:", "a directory after `oci:`"),
            ("oci:layout:a b", "a tag of"),
            ("store:", "a directory after `store:`"),
            ("https://", "an address such as"),
            ("https://user:secret@host/f", "an address such as"),
        ] {
            let error = Source::parse(text).expect_err(text);
            assert_eq!(error.kind, ErrorKind::Name, "{text}");
            assert!(error.message.contains(expected), "{text}: {error}");
        }
        let error = Source::parse("oci://ghcr.io/lab/digits:1").expect_err("a scheme");
        assert!(error.help.contains("without a scheme"), "{}", error.help);
    }
}
