//! The protocol between trialbox and a program, or an interpreter in the sandbox: one JSON object a line, each request
//! answered before the next.
//!
//! `docs/protocol.md` describes it for the authors of clients. JSON is Python's dialect, which has `NaN` and
//! `Infinity`; for other clients the strings `"nan"`, `"inf"` and `"-inf"` mean the same.

use crate::session::transcript::LogLevel;
use crate::study::record::StudyDirection;
use crate::value::json::{Json, JsonError};
use crate::value::text::{clean, shorten};
use std::path::PathBuf;
use thiserror::Error;

/// The version of the protocol.
pub const PROTOCOL_VERSION: u64 = 1;

/// A request of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Ask for the facts of the trial. A client says which version of the protocol it speaks.
    Trial {
        /// The version, where the client says it.
        protocol: Option<u64>,
        /// The id of the process that is to run the trial. The first that says its id has the trial.
        process: Option<u64>,
    },
    /// Tell the study that a script has made, before the first trial.
    Study {
        /// The direction of each value.
        directions: Vec<StudyDirection>,
        /// The names of the values, or none.
        metric_names: Vec<String>,
    },
    /// Suggest a float parameter.
    SuggestFloat {
        /// The parameter's name.
        name: String,
        /// The lower bound, included.
        low: f64,
        /// The upper bound, included.
        high: f64,
        /// True for a logarithmic scale.
        log: bool,
        /// The distance of two values, or none.
        step: Option<f64>,
    },
    /// Suggest an integer parameter.
    SuggestInt {
        /// The parameter's name.
        name: String,
        /// The lower bound, included.
        low: i64,
        /// The upper bound, included.
        high: i64,
        /// True for a logarithmic scale.
        log: bool,
        /// The distance of two values, at least 1.
        step: i64,
    },
    /// Suggest a categorical parameter. The answer is the index of a choice.
    SuggestCategorical {
        /// The parameter's name.
        name: String,
        /// The choices: null, booleans, numbers and strings.
        choices: Vec<Json>,
    },
    /// Report an intermediate value.
    Report {
        /// The value.
        value: f64,
        /// The step, 0 or more.
        step: i64,
    },
    /// Ask whether the trial should stop early.
    ShouldPrune,
    /// Attach a value to the trial.
    SetUserAttr {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// Record a constraint, satisfied when its value is 0 or less.
    SetConstraint {
        /// The constraint's name.
        name: String,
        /// The value.
        value: f64,
    },
    /// Ask for the time that the trial has left.
    RemainingSeconds,
    /// Tell the versions of the packages that the program has imported.
    Packages {
        /// The versions by name.
        versions: Vec<(String, String)>,
    },
    /// Log a line.
    Log {
        /// The severity.
        level: LogLevel,
        /// The text.
        text: String,
    },
    /// Finish the trial with its values.
    Complete {
        /// One value for each objective of the study.
        values: Vec<f64>,
    },
    /// Finish the trial early, as `should_prune` advised.
    Pruned,
    /// Fail the trial.
    Fail {
        /// The reason.
        message: String,
        /// The functions that were running, innermost first.
        traceback: Vec<String>,
        /// True if the reason counts only where the program ends without a result.
        provisional: bool,
    },
}

/// A line that is not a request.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RequestError {
    /// The line is not JSON.
    #[error("expected a request as a JSON object on one line, found `{line}`: {source}")]
    Json {
        /// The beginning of the line.
        line: String,
        /// The parser's error.
        source: JsonError,
    },
    /// The line is JSON, but not an object with a `call`.
    #[error("expected a JSON object with a `call`, found `{0}`")]
    NoCall(String),
    /// The call is unknown.
    #[error("expected one of the calls {known}, found `{0}`", known = CALLS.join(", "))]
    UnknownCall(String),
    /// A member is missing or has another type.
    #[error("expected {expected} as `{member}` of `{call}`, found {found}")]
    Member {
        /// The call.
        call: String,
        /// The member.
        member: &'static str,
        /// The expected type.
        expected: &'static str,
        /// The JSON that was found, or `nothing`.
        found: String,
    },
    /// The call has no member of this name.
    #[error("`{call}` has no member `{member}`")]
    UnknownMember {
        /// The call.
        call: String,
        /// The member.
        member: String,
    },
}

/// The names of all calls.
const CALLS: [&str; 15] = [
    "trial",
    "study",
    "suggest_float",
    "suggest_int",
    "suggest_categorical",
    "report",
    "should_prune",
    "set_user_attr",
    "set_constraint",
    "remaining_seconds",
    "packages",
    "log",
    "complete",
    "pruned",
    "fail",
];

/// The most characters of a line that a message quotes.
const MAX_QUOTED_CHARS: usize = 120;

impl Request {
    /// Reads a request from a line.
    ///
    /// # Errors
    /// Fails if the line is not a request, with the part that is wrong.
    pub fn parse(line: &str) -> Result<Self, RequestError> {
        Self::parse_with_id(line).map(|(_, request)| request)
    }

    /// Reads a request from a line, and the mark by which its sender recognizes the answer, if it has one.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with_id(line: &str) -> Result<(Option<Json>, Self), RequestError> {
        let json =
            Json::parse(line).map_err(|source| RequestError::Json { line: quote(line), source })?;
        let Json::Object(members) = json else { return Err(RequestError::NoCall(quote(line))) };
        let mut call = Members::new(members).ok_or_else(|| RequestError::NoCall(quote(line)))?;
        let id = call.optional("id", ANYTHING)?;
        let request = match call.name.as_str() {
            "trial" => Request::Trial {
                protocol: call.optional("protocol", A_COUNT)?,
                process: call.optional("process", A_COUNT)?,
            },
            "study" => Request::Study {
                directions: call.take("directions", DIRECTIONS)?,
                metric_names: call.optional("metric_names", STRINGS)?.unwrap_or_default(),
            },
            "suggest_float" => Request::SuggestFloat {
                name: call.take("name", A_STRING)?,
                low: call.take("low", A_NUMBER)?,
                high: call.take("high", A_NUMBER)?,
                log: call.optional("log", A_BOOLEAN)?.unwrap_or(false),
                step: call.optional("step", A_NUMBER)?,
            },
            "suggest_int" => Request::SuggestInt {
                name: call.take("name", A_STRING)?,
                low: call.take("low", AN_INTEGER)?,
                high: call.take("high", AN_INTEGER)?,
                log: call.optional("log", A_BOOLEAN)?.unwrap_or(false),
                step: call.optional("step", AN_INTEGER)?.unwrap_or(1),
            },
            "suggest_categorical" => Request::SuggestCategorical {
                name: call.take("name", A_STRING)?,
                choices: call.take("choices", CHOICES)?,
            },
            "report" => Request::Report {
                value: call.take("value", A_NUMBER)?,
                step: call.take("step", A_STEP)?,
            },
            "should_prune" => Request::ShouldPrune,
            "set_user_attr" => Request::SetUserAttr {
                key: call.take("key", A_STRING)?,
                value: call.take("value", ANYTHING)?,
            },
            "set_constraint" => Request::SetConstraint {
                name: call.take("name", A_STRING)?,
                value: call.take("value", A_NUMBER)?,
            },
            "remaining_seconds" => Request::RemainingSeconds,
            "packages" => Request::Packages { versions: call.take("versions", VERSIONS)? },
            "log" => Request::Log {
                level: call.optional("level", A_LEVEL)?.unwrap_or(LogLevel::Info),
                text: call.take("text", A_STRING)?,
            },
            "complete" => Request::Complete { values: call.take("values", NUMBERS)? },
            "pruned" => Request::Pruned,
            "fail" => Request::Fail {
                message: call.take("message", A_STRING)?,
                traceback: call.optional("traceback", STRINGS)?.unwrap_or_default(),
                provisional: call.optional("provisional", A_BOOLEAN)?.unwrap_or(false),
            },
            _ => return Err(RequestError::UnknownCall(quote(&call.name))),
        };
        call.finish()?;
        Ok((id, request))
    }

    /// Returns whether the request finishes the trial.
    pub fn is_result(&self) -> bool {
        matches!(
            self,
            Request::Complete { .. } | Request::Pruned | Request::Fail { provisional: false, .. }
        )
    }

    /// Returns the name of the call.
    pub fn call(&self) -> &'static str {
        match self {
            Request::Trial { .. } => "trial",
            Request::Study { .. } => "study",
            Request::SuggestFloat { .. } => "suggest_float",
            Request::SuggestInt { .. } => "suggest_int",
            Request::SuggestCategorical { .. } => "suggest_categorical",
            Request::Report { .. } => "report",
            Request::ShouldPrune => "should_prune",
            Request::SetUserAttr { .. } => "set_user_attr",
            Request::SetConstraint { .. } => "set_constraint",
            Request::RemainingSeconds => "remaining_seconds",
            Request::Packages { .. } => "packages",
            Request::Log { .. } => "log",
            Request::Complete { .. } => "complete",
            Request::Pruned => "pruned",
            Request::Fail { .. } => "fail",
        }
    }
}

/// An answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The request was taken; the answer is `{}`.
    Done,
    /// The answer is `{"value": …}`.
    Value(Json),
    /// The facts of the trial.
    Trial(TrialFacts),
}

impl Answer {
    /// Returns the line that is sent, with its line break. It repeats the `id` of the request.
    pub fn to_line(&self, id: Option<&Json>) -> String {
        let mut members = match self {
            Answer::Done => vec![],
            Answer::Value(value) => vec![("value".to_owned(), value.clone())],
            Answer::Trial(facts) => facts.to_members(),
        };
        if let Some(id) = id {
            members.insert(0, ("id".to_owned(), id.clone()));
        }
        format!("{}\n", Json::Object(members))
    }
}

/// The facts of a trial that a program may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialFacts {
    /// The trial's number.
    pub number: u32,
    /// The seed for the program's own random numbers; a retry has that of the trial that was lost.
    pub seed: u64,
    /// The direction of each value.
    pub directions: Vec<StudyDirection>,
    /// The parameters that were suggested before the program started, with their values.
    pub params: Vec<(String, Json)>,
    /// The directory for checkpoints, if the trial has one.
    pub checkpoint: Option<PathBuf>,
    /// True if the directory holds files of an earlier attempt.
    pub is_resumed: bool,
    /// The id of the process that runs the trial, if one has said it.
    pub process: Option<u64>,
}

impl TrialFacts {
    fn to_members(&self) -> Vec<(String, Json)> {
        let checkpoint = match &self.checkpoint {
            Some(dir) => Json::from(dir.display().to_string()),
            None => Json::Null,
        };
        let directions = self.directions.iter().map(|it| Json::from(it.to_string())).collect();
        let members = [
            ("protocol", Json::from(PROTOCOL_VERSION)),
            ("trial", Json::from(self.number)),
            ("seed", Json::from(self.seed)),
            ("directions", Json::Array(directions)),
            ("params", Json::Object(self.params.clone())),
            ("checkpoint", checkpoint),
            ("resumed", Json::Bool(self.is_resumed)),
        ];
        let process = self.process.map(|id| ("process", Json::from(id)));
        let members = members.into_iter().chain(process);
        members.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// The members of a request that are not read yet.
struct Members {
    name: String,
    left: Vec<(String, Json)>,
}

/// A type of member: its name for messages, and its reader.
type Kind<T> = (&'static str, fn(&Json) -> Option<T>);

const A_STRING: Kind<String> = ("a string", |json| json.as_str().map(str::to_owned));
const A_NUMBER: Kind<f64> = ("a number", number);
const AN_INTEGER: Kind<i64> = ("an integer of 64 bits", Json::as_i64);
const A_STEP: Kind<i64> = ("an integer of 0 or more", step);
const A_COUNT: Kind<u64> = ("an integer of 0 or more", Json::as_u64);
const A_BOOLEAN: Kind<bool> = ("true or false", boolean);
const A_LEVEL: Kind<LogLevel> = ("debug, info, warning or error", level);
const ANYTHING: Kind<Json> = ("a value", |json| Some(json.clone()));
const DIRECTIONS: Kind<Vec<StudyDirection>> = ("a list of minimize and maximize", directions);
const CHOICES: Kind<Vec<Json>> = ("a list of null, booleans, numbers and strings", choices);
const NUMBERS: Kind<Vec<f64>> = ("a list of numbers", |json| list(json, number));
const VERSIONS: Kind<Vec<(String, String)>> =
    ("an object of at most 500 short strings", |json| versions(json));
const STRINGS: Kind<Vec<String>> = ("a list of strings", |json| list(json, A_STRING.1));

impl Members {
    fn new(mut members: Vec<(String, Json)>) -> Option<Self> {
        let place = members.iter().position(|(key, _)| key == "call")?;
        match members.remove(place) {
            (_, Json::String(name)) => Some(Members { name, left: members }),
            _ => None,
        }
    }

    /// Takes a member that must be there.
    fn take<T>(&mut self, member: &'static str, kind: Kind<T>) -> Result<T, RequestError> {
        match self.optional(member, kind)? {
            Some(value) => Ok(value),
            None => Err(self.wrong(member, kind.0, "nothing".to_owned())),
        }
    }

    /// Takes a member that may be missing or null.
    fn optional<T>(
        &mut self,
        member: &'static str,
        kind: Kind<T>,
    ) -> Result<Option<T>, RequestError> {
        let Some(place) = self.left.iter().position(|(key, _)| key == member) else {
            return Ok(None);
        };
        let (_, json) = self.left.remove(place);
        let (expected, read) = kind;
        match read(&json) {
            Some(value) => Ok(Some(value)),
            None if json == Json::Null => Ok(None),
            None => Err(self.wrong(member, expected, format!("`{}`", quote(&json.to_string())))),
        }
    }

    fn wrong(&self, member: &'static str, expected: &'static str, found: String) -> RequestError {
        RequestError::Member { call: self.name.clone(), member, expected, found }
    }

    /// Refuses members that the call does not have.
    fn finish(self) -> Result<(), RequestError> {
        match self.left.into_iter().next() {
            None => Ok(()),
            Some((member, _)) => {
                Err(RequestError::UnknownMember { call: self.name, member: quote(&member) })
            }
        }
    }
}

/// Reads a number; JSON of other languages than Python's has no NaN and no infinities, so these may be strings.
fn number(json: &Json) -> Option<f64> {
    match json.as_str() {
        None => json.as_f64(),
        Some(text) if text.eq_ignore_ascii_case("nan") => Some(f64::NAN),
        Some(text) => {
            let (sign, text) = match text.strip_prefix('-') {
                Some(rest) => (-1.0, rest),
                None => (1.0, text),
            };
            let is_infinite =
                ["inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name));
            is_infinite.then_some(sign * f64::INFINITY)
        }
    }
}

fn step(json: &Json) -> Option<i64> {
    json.as_i64().filter(|step| *step >= 0)
}

fn boolean(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(value) => Some(*value),
        _ => None,
    }
}

fn level(json: &Json) -> Option<LogLevel> {
    match json.as_str()? {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warning" => Some(LogLevel::Warning),
        "error" => Some(LogLevel::Error),
        _ => None,
    }
}

fn choices(json: &Json) -> Option<Vec<Json>> {
    list(json, |choice| match choice {
        Json::Array(_) | Json::Object(_) => None,
        scalar => Some(scalar.clone()),
    })
}

fn directions(json: &Json) -> Option<Vec<StudyDirection>> {
    list(json, |direction| StudyDirection::parse(&direction.as_str()?.to_ascii_uppercase()))
}

/// The most packages of a trial, and the most characters of a name or a version.
const MAX_PACKAGES: usize = 500;
const MAX_PACKAGE_CHARS: usize = 100;

fn versions(json: &Json) -> Option<Vec<(String, String)>> {
    let Json::Object(members) = json else { return None };
    let is_short = |text: &str| text.len() <= MAX_PACKAGE_CHARS;
    let version = |(name, version): &(String, Json)| {
        let version = version.as_str().filter(|text| is_short(text) && is_short(name))?;
        Some((clean(name).to_string(), clean(version).to_string()))
    };
    if members.len() > MAX_PACKAGES { None } else { members.iter().map(version).collect() }
}

fn list<T>(json: &Json, read: fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    match json {
        Json::Array(items) => items.iter().map(read).collect(),
        _ => None,
    }
}

/// Returns the beginning of a text for a message.
fn quote(text: &str) -> String {
    shorten(&clean(text), MAX_QUOTED_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        for (line, want) in [
            (
                r#"{"call": "trial", "protocol": 1}"#,
                Request::Trial { protocol: Some(1), process: None },
            ),
            (
                r#"{"call": "fail", "message": "no", "provisional": true}"#,
                Request::Fail { message: "no".to_owned(), traceback: vec![], provisional: true },
            ),
            (
                r#"{"call": "suggest_float", "name": "lr", "low": 1e-5, "high": 1, "log": true}"#,
                Request::SuggestFloat {
                    name: "lr".to_owned(),
                    low: 1e-5,
                    high: 1.0,
                    log: true,
                    step: None,
                },
            ),
            (
                r#"{"name": "n", "low": -3, "high": 9, "call": "suggest_int", "step": null}"#,
                Request::SuggestInt { name: "n".to_owned(), low: -3, high: 9, log: false, step: 1 },
            ),
            (
                r#"{"call": "suggest_categorical", "name": "c", "choices": ["a", 1, null]}"#,
                Request::SuggestCategorical {
                    name: "c".to_owned(),
                    choices: vec!["a".into(), 1i64.into(), Json::Null],
                },
            ),
            (
                r#"{"call": "report", "value": -Infinity, "step": 0}"#,
                Request::Report { value: f64::NEG_INFINITY, step: 0 },
            ),
            (
                r#"{"call": "complete", "values": [0.5, "inf", "-Infinity", 3]}"#,
                Request::Complete { values: vec![0.5, f64::INFINITY, f64::NEG_INFINITY, 3.0] },
            ),
            (
                r#"{"call": "set_user_attr", "key": "k", "value": {"a": [1]}}"#,
                Request::SetUserAttr {
                    key: "k".to_owned(),
                    value: Json::object([("a", Json::Array(vec![1i64.into()]))]),
                },
            ),
            (r#"{"call": "pruned"}"#, Request::Pruned),
            (
                r#"{"call": "packages", "versions": {"numpy": "1.26.4"}}"#,
                Request::Packages { versions: vec![("numpy".to_owned(), "1.26.4".to_owned())] },
            ),
            (
                r#"{"call": "study", "directions": ["minimize", "maximize"]}"#,
                Request::Study {
                    directions: vec![StudyDirection::Minimize, StudyDirection::Maximize],
                    metric_names: vec![],
                },
            ),
        ] {
            let request = Request::parse(line).expect(line);
            assert_eq!(request, want);
            assert!(CALLS.contains(&request.call()), "{line}");
            assert!(line.contains(request.call()), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_a_request_is_refused_with_the_part_that_is_wrong() {
        for (line, want) in [
            ("0.5", "expected a JSON object with a `call`, found `0.5`"),
            (r#"{"value": 1}"#, "expected a JSON object with a `call`, found `{\"value\": 1}`"),
            (r#"{"call": 3}"#, "expected a JSON object with a `call`, found `{\"call\": 3}`"),
            (
                r#"{"call": "report", "step": 1}"#,
                "expected a number as `value` of `report`, found nothing",
            ),
            (
                r#"{"call": "report", "value": "high", "step": 1}"#,
                "expected a number as `value` of `report`, found `\"high\"`",
            ),
            (
                r#"{"call": "report", "value": 1, "step": -1}"#,
                "expected an integer of 0 or more as `step` of `report`, found `-1`",
            ),
            (r#"{"call": "pruned", "values": []}"#, "`pruned` has no member `values`"),
            (
                r#"{"call": "suggest_categorical", "name": "c", "choices": [[1]]}"#,
                "expected a list of null, booleans, numbers and strings as `choices` of \
                 `suggest_categorical`, found `[[1]]`",
            ),
        ] {
            assert_eq!(Request::parse(line).expect_err(line).to_string(), want);
        }
        let unknown = Request::parse(r#"{"call": "sugest_float"}"#).expect_err("a misspelt call");
        assert!(unknown.to_string().ends_with("complete, pruned, fail, found `sugest_float`"));
        let error = Request::parse("loss 0.5\u{1b}[2J").expect_err("a line of a log");
        assert!(
            error
                .to_string()
                .starts_with("expected a request as a JSON object on one line, found `loss 0.5`")
        );
    }

    #[test]
    fn answers_are_lines() {
        let facts = TrialFacts {
            number: 3,
            seed: 7,
            directions: vec![StudyDirection::Maximize],
            params: vec![("lr".to_owned(), 0.5.into())],
            checkpoint: Some("/c/3".into()),
            is_resumed: false,
            process: Some(41),
        };
        for (answer, want) in [
            (Answer::Done, "{}\n"),
            (Answer::Value(Json::Float(1e-5)), "{\"value\": 1e-05}\n"),
            (Answer::Value(Json::Null), "{\"value\": null}\n"),
            (
                Answer::Trial(facts),
                "{\"protocol\": 1, \"trial\": 3, \"seed\": 7, \"directions\": [\"maximize\"], \
                 \"params\": {\"lr\": 0.5}, \
                 \"checkpoint\": \"/c/3\", \"resumed\": false, \"process\": 41}\n",
            ),
        ] {
            assert_eq!(answer.to_line(None), want);
        }
        let (id, _) = Request::parse_with_id(r#"{"call": "pruned", "id": "7-1"}"#).expect("an id");
        assert_eq!(Answer::Done.to_line(id.as_ref()), "{\"id\": \"7-1\"}\n");
    }
}
