//! Search spaces in files: TOML, or JSON with the distributions of Optuna.
//!
//! A file holds parameters by name and `constraints`; a table `parameters` around the former is for those with such
//! names. A parameter is a range such as `"log(1e-5, 0.1)"`, or a table: `range`, or the members of a distribution, and
//! `when` for its conditions.

use crate::args::space::parse_range;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use trialbox_core::space::declared::{Condition, DeclaredParam, DeclaredSpace, SpaceItem};
use trialbox_core::space::relation::Relation;
use trialbox_core::{Distribution, Json};
use trialbox_files::read_named;

/// The parts of a space, as far as they have been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpaceParts {
    pub(crate) params: Vec<DeclaredParam>,
    pub(crate) relations: Vec<Relation>,
}

/// The largest file.
const MAX_FILE_BYTES: u64 = 1 << 20;

const PARAMETERS: &str = "parameters";
/// The names of the list of constraints.
const CONSTRAINTS: [&str; 2] = ["constraints", "constraint"];

/// A member of the file's outermost table, or of its table `parameters`.
struct Member {
    name: String,
    value: Json,
    /// The line, from 1.
    line: usize,
    /// The members of a table.
    inner: Vec<Member>,
}

/// Reads a file. An error names the file and the line.
pub(crate) fn read_space_file(path: &Path) -> Result<SpaceParts, String> {
    let shown = path.display();
    let bytes = read_named(path, MAX_FILE_BYTES).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("`{shown}`: expected UTF-8, found other bytes"))?;
    let read = if text.trim_start().starts_with('{') { of_json(&text) } else { of_toml(&text) };
    let at = |(line, problem): (usize, String)| format!("`{shown}` line {line}: {problem}");
    let members = read.map_err(at)?;
    let parts = parts_of(&members).map_err(at)?;
    if parts.params.is_empty() {
        return Err(at((1, "expected a parameter, found none".to_owned())));
    }
    // Checked here as well as with the other flags, because only here the lines are known.
    let space = DeclaredSpace::new(parts.params.clone(), parts.relations.clone());
    match space {
        Ok(_) => Ok(parts),
        Err(error) => {
            let line = line_of(&error.item, &members);
            Err(format!("`{shown}` line {line}: {error}"))
        }
    }
}

/// Reads the JSON of a space, as it is on a command line and in a trial's provenance.
pub(crate) fn space_of_json(json: &Json) -> Result<SpaceParts, String> {
    let Json::Object(members) = json else {
        return Err(format!("expected a JSON object as search space, found {json}"));
    };
    let members = members.iter().map(|(name, value)| member_of_json(name, value, &|_| 1));
    parts_of(&split(members.collect())).map_err(|(_, problem)| problem)
}

/// Returns the JSON of a space, which [`space_of_json`] reads.
pub(crate) fn space_to_json(space: &DeclaredSpace) -> Json {
    let params = space.params().iter().map(|param| {
        let mut json = Json::parse(&param.distribution.to_json_text()).unwrap_or(Json::Null);
        if let (Json::Object(members), false) = (&mut json, param.when.is_empty()) {
            let when = param
                .when
                .iter()
                .map(|condition| (condition.param.clone(), Json::Array(condition.values.clone())));
            members.push(("when".to_owned(), Json::object(when)));
        }
        (param.name.clone(), json)
    });
    let params = Json::Object(params.collect());
    let relations = space.relations().iter().map(|relation| Json::from(relation.text()));
    let relations = Json::Array(relations.collect());
    Json::object([(PARAMETERS, params), (CONSTRAINTS[0], relations)])
}

/// The members of a file: its parameters, and its constraints.
struct Members {
    params: Vec<Member>,
    relations: Vec<Member>,
}

/// A line and a problem.
type Problem = (usize, String);

/// Divides the outermost members into parameters and constraints.
fn split(members: Vec<Member>) -> Members {
    let mut found = Members { params: vec![], relations: vec![] };
    for member in members {
        let is_table = member.name == PARAMETERS && matches!(member.value, Json::Object(_));
        if is_table {
            found.params.extend(member.inner);
        } else if CONSTRAINTS.contains(&member.name.as_str()) {
            found.relations.push(member);
        } else {
            found.params.push(member);
        }
    }
    found
}

fn of_json(text: &str) -> Result<Members, Problem> {
    let json = Json::parse(text)
        .map_err(|error| (line_at(text, error.offset), format!("expected {}", error.expected)))?;
    let Json::Object(members) = json else {
        return Err((1, "expected an object of parameters by name".to_owned()));
    };
    let line = |name: &str| line_at(text, place_of_key(text, name));
    Ok(split(members.iter().map(|(name, value)| member_of_json(name, value, &line)).collect()))
}

fn member_of_json(name: &str, value: &Json, line: &dyn Fn(&str) -> usize) -> Member {
    let inner = match value {
        Json::Object(members) if name == PARAMETERS => {
            members.iter().map(|(name, value)| member_of_json(name, value, line)).collect()
        }
        _ => vec![],
    };
    Member { name: name.to_owned(), value: value.clone(), line: line(name), inner }
}

/// Returns the place of a key in a text of JSON: the first string of its content that a colon follows.
fn place_of_key(text: &str, name: &str) -> usize {
    let quoted = Json::from(name).to_string();
    let mut places = text.match_indices(&quoted);
    let is_key = |at: usize| text[at + quoted.len()..].trim_start().starts_with(':');
    places.find(|(at, _)| is_key(*at)).map_or(0, |(at, _)| at)
}

fn of_toml(text: &str) -> Result<Members, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        (line, error.message().to_owned())
    })?;
    Ok(split(members_of_toml(text, table.get_ref())?))
}

fn members_of_toml(text: &str, table: &DeTable) -> Result<Vec<Member>, Problem> {
    let members = in_file_order(table).into_iter().map(|(name, at, value)| {
        let line = line_at(text, at);
        let inner = match value {
            DeValue::Table(inner) if name == PARAMETERS => members_of_toml(text, inner)?,
            _ => vec![],
        };
        let value = json_of(value).map_err(|problem| (line, problem))?;
        Ok(Member { name, value, line, inner })
    });
    members.collect()
}

/// Returns the members of a table with the places of their keys, in the order of the file.
fn in_file_order<'a>(table: &'a DeTable<'_>) -> Vec<(String, usize, &'a DeValue<'a>)> {
    let mut members: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), key.span().start, value.get_ref()))
        .collect();
    members.sort_by_key(|(_, at, _)| *at);
    members
}

/// Returns a value of TOML as JSON; the error names a kind that JSON lacks.
fn json_of(value: &DeValue) -> Result<Json, String> {
    Ok(match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Boolean(value) => Json::Bool(*value),
        DeValue::Integer(number) => {
            let radix = number.radix();
            let value = i64::from_str_radix(number.as_str(), radix);
            Json::Int(
                value.map_err(|_| format!("expected a whole number of 64 bits, found {number}"))?,
            )
        }
        DeValue::Float(number) => {
            let value = number.as_str().parse::<f64>();
            Json::Float(value.map_err(|_| format!("expected a number, found {number}"))?)
        }
        DeValue::Datetime(time) => {
            return Err(format!("expected a number, a text or a table, found the time {time}"));
        }
        DeValue::Array(items) => {
            let items = items.iter().map(|item| json_of(item.get_ref()));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let members = in_file_order(table).into_iter();
            let members = members.map(|(name, _, value)| Ok((name, json_of(value)?)));
            Json::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

/// Returns the line of a byte, from 1.
fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn line_of(item: &SpaceItem, members: &Members) -> usize {
    let line = match item {
        // Of two parameters of one name the second is the wrong one.
        SpaceItem::Param(name) => {
            members.params.iter().rfind(|member| member.name == *name).map(|member| member.line)
        }
        SpaceItem::Relation(_) => members.relations.first().map(|member| member.line),
    };
    line.unwrap_or(1)
}

fn parts_of(members: &Members) -> Result<SpaceParts, Problem> {
    let mut parts = SpaceParts::default();
    for member in &members.params {
        parts.params.push(
            param_of(member).map_err(|problem| {
                (member.line, format!("parameter `{}`: {problem}", member.name))
            })?,
        );
    }
    for member in &members.relations {
        for text in texts_of(&member.value).map_err(|problem| (member.line, problem))? {
            let relation = Relation::parse(text);
            let relation = relation
                .map_err(|error| (member.line, format!("constraint `{}`: {error}", error.text)))?;
            parts.relations.push(relation);
        }
    }
    Ok(parts)
}

/// Returns one text or the texts of a list.
fn texts_of(value: &Json) -> Result<Vec<&str>, String> {
    let wrong =
        |found: &Json| format!("expected a constraint such as \"a + b <= 10\", found {found}");
    match value {
        Json::String(text) => Ok(vec![text]),
        Json::Array(items) => {
            items.iter().map(|item| item.as_str().ok_or_else(|| wrong(item))).collect()
        }
        other => Err(wrong(other)),
    }
}

fn param_of(member: &Member) -> Result<DeclaredParam, String> {
    let name = member.name.clone();
    let members = match &member.value {
        Json::String(range) => {
            return Ok(DeclaredParam { name, distribution: parse_range(range)?, when: vec![] });
        }
        Json::Object(members) => members,
        other => {
            return Err(format!(
                "expected a range such as \"log(1e-5, 0.1)\" or a table, found {other}"
            ));
        }
    };
    let (conditions, rest): (Vec<_>, Vec<_>) =
        members.iter().cloned().partition(|(key, _)| key == "when");
    let when = conditions.into_iter().map(|(_, when)| conditions_of(&when));
    let when = when.collect::<Result<Vec<_>, _>>()?.concat();
    let distribution = match rest.iter().find(|(key, _)| key == "range") {
        Some((_, Json::String(range))) => match rest.iter().find(|(key, _)| key != "range") {
            None => parse_range(range)?,
            Some((key, _)) => {
                return Err(format!("expected `when` beside `range`, found `{key}`"));
            }
        },
        Some((_, other)) => {
            return Err(format!(
                "expected a text such as \"log(1e-5, 0.1)\" as `range`, found {other}"
            ));
        }
        None => Distribution::from_json_text(&Json::Object(rest).to_string())
            .map_err(|error| error.to_string())?,
    };
    Ok(DeclaredParam { name, distribution, when })
}

/// Reads `{ optimizer = "sgd" }`, with one value or a list of values for each parameter.
fn conditions_of(when: &Json) -> Result<Vec<Condition>, String> {
    let Json::Object(members) = when else {
        return Err(format!(
            "expected a table such as {{ optimizer = \"sgd\" }} as `when`, found {when}"
        ));
    };
    let condition = |(param, value): &(String, Json)| Condition {
        param: param.clone(),
        values: match value {
            Json::Array(values) => values.clone(),
            value => vec![value.clone()],
        },
    };
    Ok(members.iter().map(condition).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text as a file.
    fn read(name: &str, text: &str) -> Result<SpaceParts, String> {
        let folder = std::env::temp_dir().join(format!("trialbox-space-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        let parts = read_space_file(&path);
        std::fs::remove_file(&path).expect("our file");
        parts.map_err(|error| error.replace(&format!("{}/", folder.display()), ""))
    }

    const TOML: &str = r#"
constraints = ["a + b <= 10"]

[parameters]
zeta = "log(1e-5, 0.1)"
optimizer = { type = "categorical", choices = ["sgd", "adam"] }
momentum = { range = "float(0, 0.99)", when = { optimizer = "sgd" } }

[parameters.a]
type = "int"
low = 1
high = 9

[parameters.b]
range = "int(1, 9)"
when.optimizer = ["sgd", "adam"]
"#;

    #[test]
    fn a_file_of_toml_has_parameters_conditions_and_constraints_in_its_order() {
        let parts = read("read.toml", TOML).expect("a space");
        let names: Vec<&str> = parts.params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["zeta", "optimizer", "momentum", "a", "b"]);
        assert_eq!(parts.params[2].when[0].values, [Json::from("sgd")]);
        assert_eq!(parts.params[3].distribution, Distribution::int(1, 9, false, 1).expect("range"));
        assert_eq!(parts.params[4].when[0].values.len(), 2);
        assert_eq!(parts.relations[0].text(), "a + b <= 10");
        let space = DeclaredSpace::new(parts.params, parts.relations).expect("a space");
        let again = space_of_json(&space_to_json(&space)).expect("what was written");
        assert_eq!(DeclaredSpace::new(again.params, again.relations), Ok(space));
    }

    #[test]
    fn both_kinds_of_file_may_hold_parameters_alone() {
        let json = r#"{
            "lr": {"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "log": false, "step": null}},
            "k": {"type": "categorical", "choices": ["a", 1, null]}
        }"#;
        let toml = "lr = \"float(0, 1)\"\nk = { type = \"categorical\", choices = [\"a\", 1] }\n";
        for (name, text) in [("alone.json", json), ("alone.toml", toml)] {
            let parts = read(name, text).expect(name);
            let names: Vec<&str> = parts.params.iter().map(|param| param.name.as_str()).collect();
            assert_eq!(names, ["lr", "k"], "{name}");
        }
        let named = "constraint = \"lr < 1\"\n[parameters]\nparameters = \"float(0, 1)\"\nlr = \"int(1, 2)\"";
        let parts = read("named.toml", named).expect("parameters");
        assert_eq!(parts.params[0].name, "parameters");
        assert_eq!(parts.relations[0].text(), "lr < 1");
    }

    #[test]
    fn an_error_names_the_file_the_line_and_what_was_found() {
        for (name, text, want) in [
            ("a.toml", "\nlr = 0.1\n", "`a.toml` line 2: parameter `lr`: expected a range such as"),
            ("b.toml", "lr = \"log(0, 1)\"", "`b.toml` line 1: parameter `lr`: "),
            (
                "c.toml",
                "\n\nlr = \"uniform(0, 1)\"",
                "`c.toml` line 3: parameter `lr`: expected float(",
            ),
            (
                "d.toml",
                "lr = \"float(0, 1)\"\nlr = \"float(0, 2)\"",
                "`d.toml` line 2: duplicate key",
            ),
            ("e.toml", "a = [", "`e.toml` line 1: "),
            ("o.toml", "# later\n", "`o.toml` line 1: expected a parameter, found none"),
            (
                "f.toml",
                "[parameters]\na = \"int(1, 2)\"\n[limits]\nx = 1",
                "`f.toml` line 3: parameter `limits`: ",
            ),
            (
                "g.toml",
                "constraints = [\"a <\"]\n[parameters]\na = \"int(1, 2)\"",
                "`g.toml` line 1: constraint `a <`: expected a number, a parameter or `(`, found the end",
            ),
            (
                "h.toml",
                "a = \"int(1, 2)\"\nb = { range = \"int(1, 2)\", when = { c = 1 } }",
                "`h.toml` line 2: parameter `b`: expected a parameter of the space in its condition, found `c`",
            ),
            (
                "i.toml",
                "b = { range = \"int(1, 2)\", wehn = { c = 1 } }",
                "`i.toml` line 1: parameter `b`: expected `when` beside `range`, found `wehn`",
            ),
            ("j.toml", "a = 2020-01-01", "`j.toml` line 1: expected a number, a text or a table"),
            ("k.json", "{\n \"a\": {\"type\": \"flaot\"}}", "`k.json` line 2: parameter `a`: "),
            ("l.json", "{\n \"a\" 1}", "`l.json` line 2: expected "),
            (
                "m.json",
                "{\"a\": \"int(1, 2)\",\n\"a\": \"int(1, 3)\"}",
                "parameter `a`: expected one range, found two",
            ),
            (
                "n.toml",
                "constraints = 3\n[parameters]\na = \"int(1, 2)\"",
                "`n.toml` line 1: expected a constraint such as \"a + b <= 10\", found 3",
            ),
        ] {
            let error = read(name, text).expect_err(name);
            assert!(error.contains(want), "{name}: {error}");
        }
        let missing = read_space_file(Path::new("/no/such.toml")).expect_err("no file");
        assert!(missing.contains("/no/such.toml"), "{missing}");
    }
}
