//! `docs/json.md` and `docs/json.schema.json`, generated from the records.

use super::Record;
use crate::view::exchange::ExportLine;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const HEAD: &str = "\
# JSON output

`--format json` prints one JSON object per line. The key `event` tells the kinds of lines apart. Text for people goes to
standard error, so standard output holds nothing else.

Scripts can rely on these rules:

- A key keeps its name and its meaning from version to version. New keys and new events may be added.
- `null` means that there is no value. A key that is left out means that the command did not look for one; such keys are
  marked *optional*.
- Numbers that JSON lacks are the strings `\"nan\"`, `\"inf\"` and `\"-inf\"`. They are marked *float*.
- Times are RFC 3339 in UTC.
- Unknown values of an Optuna database, such as attributes, are printed as they are.

The same description for programs is the JSON schema [`json.schema.json`](json.schema.json).

This page is generated from the program's types: `UPDATE_DOCS=1 cargo test -p trialbox json_docs` writes it.
";

const EXPORT: &str = "\
## Exported studies

`study export --format json` writes the same events for another purpose: `study import` reads the lines back without any
loss. Where strict JSON lacks a value, such a line has an object `{\"$json\": \"…\"}` with the value \
as Python writes it.
";

/// Returns the schema of everything that `--format json` prints.
fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let printed = generator.subschema_for::<Record>();
    let exported = generator.subschema_for::<ExportLine>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line that trialbox prints with --format json",
        "anyOf": [printed, exported],
        "$defs": Value::from(generator.take_definitions(true)),
    })
}

/// Returns the page for people.
fn page(schema: &Value) -> String {
    let definitions = &schema["$defs"];
    let mut page = format!("{HEAD}\n## Events\n");
    let mut events = BTreeSet::new();
    for event in variants(&definitions["Record"]) {
        events.insert(definition_name(event).to_owned());
        page.push_str(&event_section(event, definitions));
    }
    page.push_str(&format!("\n{EXPORT}"));
    for event in variants(&definitions["ExportLine"]) {
        events.insert(definition_name(event).to_owned());
        page.push_str(&event_section(event, definitions));
    }
    page.push_str("\n## Objects inside events\n");
    for (name, definition) in definitions.as_object().into_iter().flatten() {
        let is_event = ["Record", "ExportLine", "Float"].contains(&name.as_str());
        // A trial stands inside a study, too.
        if !is_event && (!events.contains(name) || name == "TrialRecord") {
            let text = sentence(definition);
            page.push_str(&format!("\n### {name}\n\n{text}\n\n{}", keys(definition)));
        }
    }
    page
}

fn variants(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["oneOf"].as_array().into_iter().flatten()
}

fn event_section(event: &Value, definitions: &Value) -> String {
    let name = event["properties"]["event"]["const"].as_str().unwrap_or_default();
    let keys = keys(&definitions[definition_name(event)]);
    format!("\n### `{name}`\n\n{}\n\n{keys}", sentence(event))
}

/// Returns the name of the definition that a schema refers to.
fn definition_name(schema: &Value) -> &str {
    let reference = schema["$ref"].as_str().unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default()
}

/// Returns a description on one line.
fn sentence(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the table of an object's keys.
fn keys(definition: &Value) -> String {
    let required: BTreeSet<&str> =
        definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut table = "| key | type | meaning |\n|---|---|---|\n".to_owned();
    for (key, schema) in definition["properties"].as_object().into_iter().flatten() {
        let optional = if required.contains(key.as_str()) { "" } else { ", optional" };
        let (type_name, meaning) = (type_name(schema), sentence(schema));
        table.push_str(&format!("| `{key}` | {type_name}{optional} | {meaning} |\n"));
    }
    table
}

/// Returns the name of a type, with a link to its section.
fn type_name(schema: &Value) -> String {
    if schema.get("$ref").is_some() {
        let name = definition_name(schema);
        return match name {
            "Float" => "float".to_owned(),
            _ => format!("[{name}](#{})", name.to_lowercase()),
        };
    }
    if let Some(Value::Array(options)) = schema.get("anyOf") {
        return options.iter().map(type_name).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::Array(types) => {
            let name = |name: &Value| simple_name(name.as_str().unwrap_or_default(), schema);
            types.iter().map(name).collect::<Vec<_>>().join(" or ")
        }
        Value::String(name) => simple_name(name, schema),
        _ => "any value".to_owned(),
    }
}

fn simple_name(name: &str, schema: &Value) -> String {
    match (name, schema.get("prefixItems"), schema.get("items")) {
        ("array", Some(Value::Array(items)), _) => {
            format!("pair of {}", items.iter().map(type_name).collect::<Vec<_>>().join(" and "))
        }
        ("array", None, Some(items)) => format!("array of {}", type_name(items)),
        ("object", ..) => match schema.get("additionalProperties") {
            Some(values) => format!("object of {}", type_name(values)),
            None => "object".to_owned(),
        },
        _ => name.to_owned(),
    }
}

/// Compares a generated file with the one in the repository, or writes it.
fn check(file: &str, generated: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, generated).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "docs/{file} is stale: run `UPDATE_DOCS=1 cargo test -p trialbox json_docs` and commit it"
    );
}

#[test]
fn json_docs_are_those_of_the_types() {
    let schema = schema();
    check(
        "json.schema.json",
        &format!("{}\n", serde_json::to_string_pretty(&schema).expect("a schema")),
    );
    check("json.md", &page(&schema));
}

#[test]
fn every_key_of_the_json_docs_has_a_meaning() {
    let schema = schema();
    let empty = Map::new();
    let definitions = schema["$defs"].as_object().unwrap_or(&empty);
    for (name, definition) in definitions {
        for (key, schema) in definition["properties"].as_object().into_iter().flatten() {
            assert!(!sentence(schema).is_empty(), "{name}.{key} has no doc comment");
        }
        for event in variants(definition) {
            assert!(!sentence(event).is_empty(), "{event} has no doc comment");
        }
    }
}
