//! The list of components in the binary, as CycloneDX 1.5 (JSON).

use anyhow::Result;
use serde_json::{Value, json};

/// Returns the document for packages, with the checksums of a `Cargo.lock`.
pub(super) fn bom(packages: &[Value], lock: &str) -> Result<String> {
    let lock: toml::Table = lock.parse()?;
    let checksums =
        lock.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        packages.iter().partition(|package| package["name"] == "trialbox");
    let components: Vec<Value> =
        others.iter().map(|package| component(package, &checksums)).collect();
    let reference = |id: &Value| packages.iter().find(|package| package["id"] == *id).map(purl);
    let graph = packages.iter().map(|package| {
        let needs = package["needs"].as_array().into_iter().flatten();
        let needs: Vec<String> = needs.into_iter().filter_map(reference).collect();
        json!({ "ref": purl(package), "dependsOn": needs })
    });
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": own.first().map(|package| {
                json!({
                    "type": "application",
                    "bom-ref": purl(package),
                    "name": "trialbox",
                    "version": text(package, "version"),
                })
            }),
        },
        "components": components,
        "dependencies": graph.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Returns a text of a package's metadata.
pub(super) fn text(package: &Value, key: &str) -> String {
    package[key].as_str().unwrap_or_default().to_owned()
}

/// Returns the name of a package among those of all registries.
fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

fn component(package: &Value, checksums: &[toml::Value]) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let purl = purl(package);
    let is_this = |entry: &&toml::Value| {
        let of = |key: &str| entry.get(key).and_then(toml::Value::as_str);
        of("name") == Some(&name) && of("version") == Some(&version)
    };
    let entry = checksums.iter().find(is_this);
    let checksum = entry.and_then(|entry| entry.get("checksum")).and_then(toml::Value::as_str);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        // The compiler runs what is excluded, and nothing of it is in the binary.
        "scope": if package["is_linked"] == false { "excluded" } else { "required" },
        // Some packages write `MIT/Apache-2.0`, which SPDX no longer has.
        "licenses": [{ "expression": text(package, "license").replace('/', " OR ") }],
    });
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_its_licence_and_its_checksum() {
        let packages = [
            json!({ "id": 1, "name": "trialbox", "version": "0.1.0", "license": "MIT", "needs": [2] }),
            json!({ "id": 2, "name": "a", "version": "1.0.0", "license": "MIT/Apache-2.0", "needs": [] }),
        ];
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
        let bom: Value =
            serde_json::from_str(&bom(&packages, lock).expect("a document")).expect("JSON");
        assert_eq!(bom["metadata"]["component"]["version"], "0.1.0");
        assert_eq!(bom["components"].as_array().map(Vec::len), Some(1));
        assert_eq!(bom["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bom["components"][0]["hashes"][0]["content"], "abc");
        assert_eq!(bom["components"][0]["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(bom["dependencies"][0]["dependsOn"], json!(["pkg:cargo/a@1.0.0"]));
    }
}
