//! The SDK for objectives in Rust, as this binary carries it into new projects.

/// The folder of the SDK in a project.
pub(crate) const FOLDER: &str = "trialbox-guest";

macro_rules! files {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../../../guest-sdk/rust/", $path))),)*]
    };
}

/// The files by their path in the SDK's folder, with their text.
pub(crate) const FILES: &[(&str, &str)] = files![
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "macros/Cargo.toml",
    "macros/src/lib.rs",
    "macros/src/parse.rs",
    "src/attr.rs",
    "src/bindings.rs",
    "src/checkpoint.rs",
    "src/choice.rs",
    "src/component.rs",
    "src/description.rs",
    "src/fixed.rs",
    "src/host.rs",
    "src/lib.rs",
    "src/misuse.rs",
    "src/outcome.rs",
    "src/stop.rs",
    "src/trial.rs",
    "wit/objective.wit",
];

/// Returns the version of the SDK.
pub(crate) fn version() -> &'static str {
    let manifest =
        FILES.iter().find(|(path, _)| *path == "Cargo.toml").map_or("", |(_, text)| text);
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    line.map_or("", |version| version.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Files that a project does not need.
    const LEFT_OUT: [&str; 3] = ["macros/LICENSE-APACHE", "macros/LICENSE-MIT", "regenerate.sh"];

    fn collect(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the SDK's folder") {
            let entry = entry.expect("an entry");
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn the_binary_carries_every_file_of_the_sdk() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk/rust");
        let mut found = BTreeSet::new();
        collect(&folder, "", &mut found);
        let left_out = LEFT_OUT.map(str::to_owned);
        let carried = FILES.iter().map(|(path, _)| (*path).to_owned()).chain(left_out).collect();
        assert_eq!(found, carried);
    }

    #[test]
    fn the_manifests_of_the_sdk_inherit_nothing_and_lead_nowhere_outside() {
        for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
            assert!(!text.contains("workspace = true"), "{path}");
            assert!(!text.contains("../"), "{path}");
        }
        assert!(version().split('.').count() == 3, "{}", version());
    }
}
