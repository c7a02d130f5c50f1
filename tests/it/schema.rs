//! A check of printed lines against `docs/json.schema.json`, which every end-to-end test makes.
//!
//! It reads the part of JSON schema that the file uses, and is stricter: a key that the file does not list is an error,
//! because no script could know of it.

use crate::scene::root;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The lines that commands print.
const RECORD: &str = "Record";

/// The lines of `study export`.
const EXPORT_LINE: &str = "ExportLine";

struct Schema(Value);

/// Checks that the lines of a command are those that the schema describes. A line without an event is a Python
/// script's.
#[track_caller]
pub(crate) fn assert_documented(lines: &[Value]) {
    let schema = Schema::read();
    for line in lines.iter().filter(|line| line.get("event").is_some()) {
        if let Some(problem) = schema.problem_of_line(RECORD, line)
            && schema.problem_of_line(EXPORT_LINE, line).is_some()
        {
            panic!("{line} is not what docs/json.schema.json says: {problem}");
        }
    }
}

/// Returns the names of all events but those of `study export`.
pub(crate) fn event_names() -> BTreeSet<&'static str> {
    Schema::read().events(RECORD).map(|(name, _)| name).collect()
}

impl Schema {
    fn read() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| {
            let text = std::fs::read_to_string(root().join("docs/json.schema.json")).unwrap();
            Schema(serde_json::from_str(&text).unwrap())
        })
    }

    /// Returns the definition that a schema refers to.
    fn definition(&self, schema: &Value) -> Option<&Value> {
        let name = schema.get("$ref")?.as_str().unwrap().rsplit('/').next().unwrap();
        Some(self.0["$defs"].get(name).unwrap())
    }

    /// Returns the events of a kind of lines, by name.
    fn events(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let events = self.0["$defs"][kind]["oneOf"].as_array().unwrap();
        events.iter().map(|event| {
            let name = event["properties"]["event"]["const"].as_str().unwrap();
            (name, self.definition(event).unwrap())
        })
    }

    /// Returns the first problem of a printed line.
    fn problem_of_line(&self, kind: &str, line: &Value) -> Option<String> {
        let Some(name) = line["event"].as_str() else {
            return Some("the key `event` is missing".to_owned());
        };
        let Some((_, event)) = self.events(kind).find(|(found, _)| *found == name) else {
            return Some(format!("the event `{name}` is not listed"));
        };
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("event");
        self.problem(event, &line)
    }

    /// Returns the first problem of a value.
    fn problem(&self, schema: &Value, value: &Value) -> Option<String> {
        if let Some(definition) = self.definition(schema) {
            return self.problem(definition, value);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(choice) {
                let mut options = options.as_array().unwrap().iter();
                let fits = options.any(|option| self.problem(option, value).is_none());
                return (!fits).then(|| format!("{value} is none of {schema}"));
            }
        }
        if let Some(options) = schema.get("enum") {
            let fits = options.as_array().unwrap().contains(value);
            return (!fits).then(|| format!("{value} is none of {options}"));
        }
        if let Some(constant) = schema.get("const") {
            return (value != constant).then(|| format!("{value} is not {constant}"));
        }
        let types = match schema.get("type") {
            None => return None,
            Some(Value::Array(types)) => types.clone(),
            Some(name) => vec![name.clone()],
        };
        if !types.iter().any(|name| is_of_type(value, name.as_str().unwrap())) {
            return Some(format!("{value} is not of the types {types:?}"));
        }
        match value {
            Value::Array(items) => self.problem_of_items(schema, items),
            Value::Object(_) => self.problem_of_object(schema, value),
            Value::Number(_) if below_minimum(schema, value) => {
                Some(format!("{value} is too small"))
            }
            _ => None,
        }
    }

    fn problem_of_items(&self, schema: &Value, items: &[Value]) -> Option<String> {
        if let Some(Value::Array(schemas)) = schema.get("prefixItems") {
            if schemas.len() != items.len() {
                return Some(format!("{items:?} has not {} items", schemas.len()));
            }
            return items.iter().zip(schemas).find_map(|(item, schema)| self.problem(schema, item));
        }
        let schema = schema.get("items")?;
        items.iter().find_map(|item| self.problem(schema, item))
    }

    fn problem_of_object(&self, schema: &Value, value: &Value) -> Option<String> {
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.get(key.as_str().unwrap()).is_none() {
                return Some(format!("the key {key} is missing in {value}"));
            }
        }
        value.as_object().unwrap().iter().find_map(|(key, member)| {
            let listed = schema["properties"].get(key).or(schema.get("additionalProperties"));
            match listed {
                Some(schema) => {
                    self.problem(schema, member).map(|problem| format!("`{key}`: {problem}"))
                }
                None => Some(format!("the key `{key}` is not listed")),
            }
        })
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("the check does not know the type `{name}`"),
    }
}

fn below_minimum(schema: &Value, value: &Value) -> bool {
    let minimum = schema.get("minimum").and_then(Value::as_f64);
    minimum.is_some_and(|minimum| value.as_f64().unwrap() < minimum)
}

mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_that_the_schema_does_not_describe_is_refused() {
        let schema = Schema::read();
        let problem = |line: Value| schema.problem_of_line(RECORD, &line);
        fn told(values: Value) -> Value {
            json!({ "event": "told", "study": "s", "number": 0, "state": "FAIL", "values": values })
        }
        assert_eq!(problem(told(json!([0.5, "nan"]))), None);
        let refused = |line: Value, piece: &str| {
            let problem = problem(line.clone()).unwrap_or_else(|| panic!("{line} was accepted"));
            assert!(problem.contains(piece), "`{piece}` is missing in: {problem}");
        };
        refused(json!({ "study": "s" }), "the key `event` is missing");
        refused(json!({ "event": "brewed", "study": "s" }), "the event `brewed` is not listed");
        refused(told(json!(["none"])), "`values`: \"none\" is none of");
        refused(told(json!(0.5)), "`values`: 0.5 is not of the types");
        let mut line = told(json!([]));
        line["number"] = json!(-1);
        refused(line.clone(), "`number`: -1 is too small");
        line["number"] = json!(0.5);
        refused(line.clone(), "`number`: 0.5 is not of the types");
        line["number"] = json!(0);
        line["colour"] = json!("red");
        refused(line.clone(), "the key `colour` is not listed");
        line.as_object_mut().unwrap().remove("study");
        refused(line, "the key \"study\" is missing");
    }
}
