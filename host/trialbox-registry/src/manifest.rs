//! The manifests of the OCI: which blob of an image is the objective.

use crate::digest::Digest;
use crate::error::ShareError;
use crate::image::ARCHIVE;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest manifest that is read, in bytes: the most that registries take.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

/// The kinds of manifests that are read, as registries want to hear it.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                                 application/vnd.docker.distribution.manifest.v2+json";

/// The media types of layers that are objectives: a component as the CNCF has it and as older tools wrote it, and an
/// archive of an objective in Python.
const LAYERS: [&str; 3] =
    ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm", ARCHIVE];

/// The annotation with the tag of an image in a layout.
pub(crate) const TAG: &str = "org.opencontainers.image.ref.name";

/// A manifest, or an index of manifests.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// A reference to a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
}

/// A blob with its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Manifest {
    /// Reads the bytes of a manifest. `what` names it in messages.
    pub(crate) fn read(what: &str, bytes: &[u8]) -> Result<Self, ShareError> {
        serde_json::from_slice(bytes).map_err(|_| {
            ShareError::content(what, "expected a manifest of the OCI, found other text")
        })
    }

    /// Returns the manifest of an objective among several, or `None` if this one is it. An index lists one image for
    /// each kind of machine.
    pub(crate) fn chosen(&self, what: &str) -> Result<Option<Blob>, ShareError> {
        if !self.layers.is_empty() || self.manifests.is_empty() {
            return Ok(None);
        }
        let is_wasm = |found: &&Descriptor| {
            found.platform.as_ref().is_some_and(|platform| platform.architecture == "wasm")
        };
        let chosen: Vec<&Descriptor> = match &self.manifests[..] {
            [only] => vec![only],
            several => several.iter().filter(is_wasm).collect(),
        };
        match chosen[..] {
            [only] => only.blob(what).map(Some),
            _ => Err(ShareError::content(
                what,
                &format!("expected one image for wasm, found {}", chosen.len()),
            )),
        }
    }

    /// Returns the manifest of an index that has a tag, or the only one.
    pub(crate) fn tagged(&self, what: &str, tag: Option<&str>) -> Result<Blob, ShareError> {
        let has_tag = |found: &&Descriptor| tag.is_none_or(|tag| found.tag() == Some(tag));
        let found: Vec<&Descriptor> = self.manifests.iter().filter(has_tag).collect();
        let tags = || {
            let tags: Vec<&str> =
                self.manifests.iter().filter_map(Descriptor::tag).take(20).collect();
            if tags.is_empty() { "none".to_owned() } else { tags.join(", ") }
        };
        match (&found[..], tag) {
            ([only], _) => only.blob(what),
            (_, Some(tag)) => Err(ShareError::new(
                crate::error::ErrorKind::NotFound,
                format!("{what}: expected one image with the tag `{tag}`, found {}", found.len()),
                format!("the tags are: {}", tags()),
            )),
            (_, None) => Err(ShareError::new(
                crate::error::ErrorKind::Name,
                format!("{what}: expected one image, found {}", found.len()),
                format!("name one: oci:DIR:TAG; the tags are: {}", tags()),
            )),
        }
    }

    /// Returns the only layer, if it is an objective.
    pub(crate) fn objective(&self, what: &str) -> Result<Blob, ShareError> {
        match &self.layers[..] {
            [only] if LAYERS.contains(&only.media_type.as_str()) => only.blob(what),
            [only] => Err(ShareError::content(
                what,
                &format!("expected a layer of wasm, found one of `{}`", only.media_type),
            )),
            layers => Err(ShareError::content(
                what,
                &format!("expected one layer, found {}", layers.len()),
            )),
        }
    }
}

impl Descriptor {
    pub(crate) fn tag(&self) -> Option<&str> {
        self.annotations.as_ref()?.get(TAG).map(String::as_str)
    }

    fn blob(&self, what: &str) -> Result<Blob, ShareError> {
        match Digest::from_oci(&self.digest) {
            Some(digest) => Ok(Blob { digest, size: self.size }),
            None => Err(ShareError::content(what, "expected digests of SHA-256, found another")),
        }
    }
}

/// Checks the bytes of a blob against its description.
pub(crate) fn check(what: &str, blob: Blob, bytes: Vec<u8>) -> Result<Vec<u8>, ShareError> {
    match Digest::of(&bytes) {
        found if found != blob.digest => {
            Err(ShareError::digest(what, &blob.digest.to_string(), &found.to_string()))
        }
        _ if bytes.len() as u64 != blob.size => Err(ShareError::content(
            what,
            &format!("expected {} bytes as its manifest says, found {}", blob.size, bytes.len()),
        )),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn manifest(text: &str) -> Manifest {
        Manifest::read("it", text.replace("HEX", HEX).as_bytes()).expect(text)
    }

    #[test]
    fn the_objective_is_the_only_layer_of_wasm() {
        for kind in LAYERS {
            let text =
                format!(r#"{{"layers": [{{"mediaType": "{kind}", "digest": "HEX", "size": 7}}]}}"#);
            let manifest = manifest(&text);
            assert_eq!(manifest.chosen("it").expect(kind), None);
            assert_eq!(manifest.objective("it").expect(kind).size, 7);
        }
        let layer = r#"{"mediaType": "application/wasm", "digest": "HEX", "size": 7}"#;
        for (text, problem) in [
            (r#"{"layers": []}"#.to_owned(), "found 0"),
            (format!(r#"{{"layers": [{layer}, {layer}]}}"#), "found 2"),
            (
                format!(r#"{{"layers": [{layer}]}}"#).replace("HEX", "md5:0"),
                "expected digests of SHA-256",
            ),
            (
                format!(r#"{{"layers": [{layer}]}}"#).replace("wasm", "tar"),
                "found one of `application/tar`",
            ),
        ] {
            let error = manifest(&text).objective("it").expect_err(problem);
            assert!(error.message.contains(problem), "{text}: {error}");
        }
        for text in ["", "7", "{\"layers\": 1}", "<html>"] {
            Manifest::read("it", text.as_bytes()).expect_err(text);
        }
    }

    #[test]
    fn an_index_leads_to_the_image_of_its_tag_or_for_wasm() {
        let one = |more: &str| format!(r#"{{"digest": "HEX", "size": 1{more}}}"#);
        let wasm = one(r#", "platform": {"architecture": "wasm", "os": "wasip2"}"#);
        let index =
            |items: &[String]| manifest(&format!(r#"{{"manifests": [{}]}}"#, items.join(",")));
        assert!(index(&[one("")]).chosen("it").expect("the only one").is_some());
        assert!(index(&[one(""), wasm.clone()]).chosen("it").expect("for wasm").is_some());
        index(&[one(""), one("")]).chosen("it").expect_err("two");
        let tagged = |tag: &str| one(&format!(r#", "annotations": {{"{TAG}": "{tag}"}}"#));
        let layout = index(&[tagged("1"), tagged("2")]);
        layout.tagged("it", Some("2")).expect("one of two");
        assert_eq!(
            layout.tagged("it", Some("3")).expect_err("no such tag").help,
            "the tags are: 1, 2"
        );
        assert!(layout.tagged("it", None).expect_err("two").message.contains("found 2"));
    }
}
