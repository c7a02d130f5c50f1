//! The stamp of a component: custom sections that say what it was built from. Registries and other tools read them too,
//! under the names that the component model's tools use.

use std::collections::BTreeMap;
use wasm_encoder::{CustomSection, Section as _};
use wasm_metadata::AddMetadata;
use wasmparser::{ComponentName, KnownCustom, Parser, Payload};

/// The section with the version of the contract; the other names are those of `wasm-metadata`.
const CONTRACT_SECTION: &str = "trialbox-contract";

/// The sections that hold a text.
const TEXTS: [&str; 8] = [
    "version",
    "licenses",
    "source",
    "revision",
    "authors",
    "description",
    "homepage",
    CONTRACT_SECTION,
];

/// The section with the sample trial.
const SAMPLE_SECTION: &str = "trialbox-sample";

/// The most bytes of a sample that is read.
const MAX_SAMPLE: usize = 1 << 20;

/// The most bytes of a text in a stamp that are shown.
const MAX_TEXT: usize = 4096;

/// The source and the tools of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The name of the package.
    pub name: Option<String>,
    /// The version of the package.
    pub version: Option<String>,
    /// The licence, as an SPDX expression.
    pub license: Option<String>,
    /// The address of the source code.
    pub source: Option<String>,
    /// The commit of the source code, with `-dirty` after it if files differ from it.
    pub revision: Option<String>,
    /// The version of the contract.
    pub contract: Option<String>,
    /// The SDK and its version, with a space between them.
    pub sdk: Option<String>,
    /// The trialbox that stamped it, as the SDK.
    pub built_by: Option<String>,
}

impl Stamp {
    /// Returns a component with this stamp.
    ///
    /// # Errors
    /// Fails if the bytes are not a component.
    pub fn write(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        let mut added = AddMetadata::default();
        if let Some(name) = &self.name {
            added.name = wasm_metadata::AddMetadataField::Set(name.clone());
        }
        added.sdk = self.sdk.iter().filter_map(|tool| tool_and_version(tool)).collect();
        added.processed_by =
            self.built_by.iter().filter_map(|tool| tool_and_version(tool)).collect();
        let mut stamped = added.to_wasm(component).map_err(|error| error.to_string())?;
        for (section, text) in [
            ("version", &self.version),
            ("licenses", &self.license),
            ("source", &self.source),
            ("revision", &self.revision),
            (CONTRACT_SECTION, &self.contract),
        ] {
            if let Some(text) = text {
                let data = text.as_bytes().into();
                CustomSection { name: section.into(), data }.append_to(&mut stamped);
            }
        }
        Ok(stamped)
    }

    /// Returns a component with a sample trial, as a text. An earlier sample no longer counts.
    pub fn with_sample(component: &[u8], text: &str) -> Vec<u8> {
        let mut sampled = component.to_vec();
        let data = text.as_bytes().into();
        CustomSection { name: SAMPLE_SECTION.into(), data }.append_to(&mut sampled);
        sampled
    }

    /// Reads the sample trial of a component, which is the author's text and not trusted.
    pub fn read_sample(component: &[u8]) -> Option<String> {
        let (mut depth, mut sample) = (0, None);
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::Version { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth -= 1,
                Ok(Payload::CustomSection(section))
                    if depth == 1
                        && section.name() == SAMPLE_SECTION
                        && section.data().len() <= MAX_SAMPLE =>
                {
                    sample = std::str::from_utf8(section.data()).ok().map(str::to_owned);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        sample
    }

    /// Reads the stamp of a component. Its text is the author's, and not trusted.
    pub fn read(component: &[u8]) -> Self {
        let mut found = Found::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::Version { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth -= 1,
                Ok(Payload::CustomSection(section)) if depth == 1 => match section.as_known() {
                    KnownCustom::ComponentName(names) => found.take_name(names),
                    KnownCustom::Producers(producers) => found.take_producers(producers),
                    _ => found.take_text(section.name(), section.data()),
                },
                Ok(_) => {}
                Err(_) => break,
            }
        }
        found.into_stamp()
    }
}

/// The sections that were found, by their names.
#[derive(Default)]
struct Found {
    texts: BTreeMap<&'static str, String>,
    name: Option<String>,
    sdk: Option<String>,
    built_by: Option<String>,
}

impl Found {
    fn take_name(&mut self, names: wasmparser::ComponentNameSectionReader<'_>) {
        for name in names.into_iter().flatten() {
            if let ComponentName::Component { name, .. } = name {
                self.name = Some(shorten(name));
            }
        }
    }

    fn take_producers(&mut self, producers: wasmparser::ProducersSectionReader<'_>) {
        for field in producers.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                let tool = shorten(&format!("{} {}", value.name, value.version));
                match field.name {
                    "sdk" => self.sdk = Some(tool),
                    "processed-by" if value.name == "trialbox" => self.built_by = Some(tool),
                    _ => {}
                }
            }
        }
    }

    fn take_text(&mut self, section: &str, data: &[u8]) {
        if let Some(known) = TEXTS.iter().find(|known| **known == section) {
            self.texts.insert(known, shorten(&String::from_utf8_lossy(data)));
        }
    }

    fn into_stamp(mut self) -> Stamp {
        Stamp {
            name: self.name,
            version: self.texts.remove("version"),
            license: self.texts.remove("licenses"),
            source: self.texts.remove("source"),
            revision: self.texts.remove("revision"),
            contract: self.texts.remove(CONTRACT_SECTION),
            sdk: self.sdk,
            built_by: self.built_by,
        }
    }
}

fn tool_and_version(tool: &str) -> Option<(String, String)> {
    let (name, version) = tool.split_once(' ')?;
    Some((name.to_owned(), version.to_owned()))
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Stamp {
        let some = |text: &str| Some(text.to_owned());
        Stamp {
            name: some("mine"),
            version: some("1.2.3"),
            license: some("MIT OR Apache-2.0"),
            source: some("https://example.org/mine"),
            revision: some("0123abcd-dirty"),
            contract: some("0.1.0"),
            sdk: some("trialbox-guest 0.1.0"),
            built_by: some("trialbox 0.1.0"),
        }
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_the_component_stays_one() {
        let component = wat::parse_str("(component (core module))").expect("a component");
        let stamped = full().write(&component).expect("a stamp");
        assert_eq!(Stamp::read(&stamped), full());
        wasmparser::Validator::new().validate_all(&stamped).expect("a component");
        assert_eq!(Stamp::read(&component), Stamp::default());
    }

    #[test]
    fn the_last_sample_of_a_component_counts_and_it_stays_valid() {
        let component = wat::parse_str("(component (core module))").expect("a component");
        assert_eq!(Stamp::read_sample(&component), None);
        let sampled = Stamp::with_sample(&Stamp::with_sample(&component, "a"), "b");
        assert_eq!(Stamp::read_sample(&sampled).as_deref(), Some("b"));
        wasmparser::Validator::new().validate_all(&sampled).expect("a component");
    }

    #[test]
    fn sections_of_the_parts_inside_and_broken_bytes_are_no_stamp() {
        let inner = full().write(&wat::parse_str("(component)").expect("a component"));
        let inner = inner.expect("a stamp");
        let mut outer = wat::parse_str("(component)").expect("a component");
        outer.push(4);
        let mut length = Vec::new();
        wasm_encoder::Encode::encode(&inner[..], &mut length);
        outer.extend(length);
        assert_eq!(Stamp::read(&outer), Stamp::default());
        for end in 0..inner.len() {
            let _ = Stamp::read(&inner[..end]);
        }
    }
}
