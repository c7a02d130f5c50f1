//! The rights of an objective in the sandbox, in plain words.

use trialbox_core::study::artifact::{Artifact, ArtifactKind};
use trialbox_core::value::text::one_line;
use trialbox_runtime::Grant;

/// Returns what an objective may do with these grants and variables, each as the end of "it may …".
pub(crate) fn rights(
    artifact: &Artifact,
    grants: &[Grant],
    env_names: &[&str],
    deterministic: bool,
) -> Vec<String> {
    let imports = |package: &str| {
        artifact.kind == ArtifactKind::Python
            || artifact.imports.iter().any(|import| import.starts_with(package))
    };
    let mut rights = Vec::new();
    for grant in grants {
        let verb = if grant.writable { "read and write" } else { "read" };
        rights.push(format!("{verb} {}", one_line(&grant.guest)));
    }
    // A component that imports an interface can do it; all components of Rust's import some that they do not use.
    if imports("wasi:clocks/") {
        rights
            .push(if deterministic { "count calls as time" } else { "read the clock" }.to_owned());
    }
    if imports("wasi:random/") {
        rights.push("draw random numbers".to_owned());
    }
    for name in env_names {
        rights.push(format!("read the variable {}", one_line(name)));
    }
    rights
}

/// Returns the rights as a sentence without its subject.
pub(crate) fn rights_text(rights: &[String]) -> String {
    let may = if rights.is_empty() { "compute".to_owned() } else { rights.join(", ") };
    format!("{may}; no other files, no network, no other programs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::study::artifact::ArtifactKind;

    fn artifact(imports: &[&str]) -> Artifact {
        Artifact {
            path: "x.wasm".into(),
            stored: None,
            kind: ArtifactKind::Component,
            bytes: vec![],
            sha256: String::new(),
            contract_version: String::new(),
            imports: imports.iter().map(|import| (*import).to_owned()).collect(),
            exports: vec![],
            archive: None,
        }
    }

    #[test]
    fn rights_are_those_of_grants_imports_and_variables() {
        let nothing = rights(&artifact(&[]), &[], &[], false);
        let no_more = "no other files, no network, no other programs";
        assert_eq!(rights_text(&nothing), format!("compute; {no_more}"));
        let grant = |guest: &str, writable| {
            Grant::of(std::env::temp_dir(), guest.to_owned(), writable).expect("a folder")
        };
        let grants = [grant("/data", false), grant("/out", true)];
        let both = artifact(&["wasi:clocks/wall-clock@0.2.0", "wasi:random/random@0.2.0"]);
        assert_eq!(
            rights_text(&rights(&both, &grants, &["SIZE"], false)),
            format!(
                "read /data, read and write /out, read the clock, draw random numbers, \
                 read the variable SIZE; {no_more}"
            )
        );
        assert_eq!(rights(&both, &[], &[], true)[0], "count calls as time");
    }
}
