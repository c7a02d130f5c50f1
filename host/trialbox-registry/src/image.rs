//! The images that are written: the layout of the CNCF for wasm, and an older one for registries that refuse it.

use crate::digest::Digest;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The type of archives of objectives in Python.
pub(crate) const ARCHIVE: &str = "application/vnd.trialbox.objective.v1.tar";

/// An objective that is published.
#[derive(Debug, Clone, Default)]
pub struct Objective {
    /// The content.
    pub bytes: Vec<u8>,
    /// True for an archive of an objective in Python, false for a component.
    pub is_archive: bool,
    /// The interfaces that a component imports.
    pub imports: Vec<String>,
    /// The interfaces that a component exports.
    pub exports: Vec<String>,
    /// Its texts about itself, by the names of the OCI's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The media types of an image. The first that a registry takes is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MediaTypes {
    /// The type of the configuration.
    pub config: &'static str,
    /// The type of the layer.
    pub layer: &'static str,
}

/// An objective that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The media types that the destination took.
    pub types: MediaTypes,
    /// True if they are not those of the CNCF's layout or of archives, because the registry refused these.
    pub is_fallback: bool,
}

/// The types of components: the CNCF's, then those of wasm-to-oci, which GitLab's registry takes.
const COMPONENT: [MediaTypes; 2] = [
    MediaTypes { config: "application/vnd.wasm.config.v0+json", layer: "application/wasm" },
    MediaTypes {
        config: "application/vnd.module.wasm.config.v1+json",
        layer: "application/vnd.wasm.content.layer.v1+wasm",
    },
];

/// The types of archives: without a configuration, then with that of a container.
const OF_ARCHIVE: [MediaTypes; 2] = [
    MediaTypes { config: "application/vnd.oci.empty.v1+json", layer: ARCHIVE },
    MediaTypes { config: "application/vnd.oci.image.config.v1+json", layer: ARCHIVE },
];

/// The files of an image beside the objective.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Objective {
    /// Returns the media types that are tried, in order.
    pub(crate) fn media_types(&self) -> &'static [MediaTypes] {
        if self.is_archive { &OF_ARCHIVE } else { &COMPONENT }
    }

    /// Returns the image. The same objective has the same bytes, so it has no time of publication.
    pub(crate) fn image(&self, types: MediaTypes) -> Image {
        let layer = Digest::of(&self.bytes);
        let config = match types.config {
            "application/vnd.oci.empty.v1+json" => json!({}),
            _ => json!({
                "created": "1970-01-01T00:00:00Z",
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": [layer.to_string()],
                "rootfs": {"type": "layers", "diff_ids": [layer.to_string()]},
                "component": {"exports": self.exports, "imports": self.imports},
            }),
        };
        let config = without_absent(config, self.is_archive);
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(types.config, &config),
            "layers": [descriptor(types.layer, &self.bytes)],
        });
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        Image { config, manifest: manifest.to_string().into_bytes() }
    }
}

/// Returns the bytes of a configuration. That of a component has no file system.
fn without_absent(config: Value, is_archive: bool) -> Vec<u8> {
    let absent = if is_archive { "component" } else { "rootfs" };
    let config: Map<String, Value> = match config {
        Value::Object(config) => config.into_iter().filter(|(key, _)| key != absent).collect(),
        _ => Map::new(),
    };
    Value::Object(config).to_string().into_bytes()
}

/// Returns the description of a blob.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn the_image_of_a_component_is_that_of_the_cncf() {
        let annotations = [("org.opencontainers.image.version".to_owned(), "1.2.0".to_owned())];
        let objective = Objective {
            bytes: b"\0asm".to_vec(),
            imports: vec!["wasi:cli/stdout@0.2.0".to_owned()],
            exports: vec!["trialbox:objective/objective@0.1.0".to_owned()],
            annotations: annotations.into(),
            ..Objective::default()
        };
        let image = objective.image(objective.media_types()[0]);
        let digest = Digest::of(b"\0asm");
        let config: Value = serde_json::from_slice(&image.config).expect("JSON");
        let component = json!({"exports": objective.exports, "imports": objective.imports});
        assert_eq!(
            config,
            json!({"created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
                "layerDigests": [digest.to_string()], "component": component})
        );
        let manifest: Value = serde_json::from_slice(&image.manifest).expect("JSON");
        assert_eq!(
            manifest,
            json!({"schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.wasm.config.v0+json",
                    "digest": Digest::of(&image.config).to_string(), "size": image.config.len()},
                "layers": [{"mediaType": "application/wasm", "digest": digest.to_string(), "size": 4}],
                "annotations": {"org.opencontainers.image.version": "1.2.0"}})
        );
    }

    #[test]
    fn all_images_that_are_written_are_read() {
        for is_archive in [false, true] {
            let objective =
                Objective { bytes: b"content".to_vec(), is_archive, ..Objective::default() };
            for types in objective.media_types() {
                let image = objective.image(*types);
                let manifest = Manifest::read("it", &image.manifest).expect("a manifest");
                let blob = manifest.objective("it").expect(types.layer);
                assert_eq!((blob.digest, blob.size), (Digest::of(b"content"), 7), "{types:?}");
            }
        }
    }
}
