//! The limits on an objective: each has a name, a unit and a default.
//!
//! Honest code should never reach a default. A message about a limit that is reached names its value and the amount
//! that was asked for.

use crate::value::json::Json;
use crate::value::text::{byte_size, counted};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A limit on the resources and data of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// The memory of one trial: the component's memories and tables, and its open directories.
    Memory,
    /// The time of one trial.
    TrialTime,
    /// The instructions of one trial, approximately; not counted unless the limit is set.
    Fuel,
    /// The time for loading and compiling.
    CompileTime,
    /// The memory of the compiler.
    CompileMemory,
    /// The size of the component's file.
    ModuleSize,
    /// The stack of WebAssembly.
    Stack,
    /// The elements of one table, which holds functions to be called indirectly.
    TableElements,
    /// The memories of a component.
    Memories,
    /// The core instances of a component, and its tables.
    Instances,
    /// The resources, such as open files, that a component holds at a time.
    Handles,
    /// The lists and strings that one call may pass.
    Payload,
    /// The random bytes that one call may ask for.
    RandomBytes,
    /// The parameters of one trial.
    Params,
    /// The choices of a categorical parameter.
    Choices,
    /// The text of one choice.
    ChoiceLength,
    /// The names of parameters, attributes and constraints.
    NameLength,
    /// The user attributes of a trial, and its constraints.
    UserAttrs,
    /// The JSON text of one user attribute.
    AttrLength,
    /// The data that a trial leaves in the study besides its reports: ranges and choices of parameters, and attributes.
    TrialData,
    /// The reported steps that are stored; a longer curve is thinned.
    Reports,
    /// The log and output that are kept: the end of them.
    Log,
}

/// The unit of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Millis,
    /// Unicode characters.
    Chars,
    /// Things.
    Count,
}

/// A limit's row in the table below.
struct Row {
    limit: Limit,
    name: &'static str,
    unit: Unit,
    default: Option<u64>,
    summary: &'static str,
}

#[rustfmt::skip]
const TABLE: [Row; 22] = {
    use Limit::*;
    use Unit::*;
    const fn row(limit: Limit, name: &'static str, unit: Unit, default: u64, summary: &'static str) -> Row {
        Row { limit, name, unit, default: Some(default), summary }
    }
    [
        row(Memory, "memory", Bytes, 4 << 30, "memory of one trial: memories, tables and open directories"),
        Row { limit: TrialTime, name: "trial-time", unit: Millis, default: None, summary: "time of one trial" },
        Row { limit: Fuel, name: "fuel", unit: Count, default: None, summary: "instructions of one trial, about" },
        row(CompileTime, "compile-time", Millis, 300_000, "time for loading and compiling"),
        row(CompileMemory, "compile-memory", Bytes, 4 << 30, "memory of the compiler"),
        row(ModuleSize, "module-size", Bytes, 96 << 20, "size of the component's file"),
        row(Stack, "stack", Bytes, 1 << 20, "stack of WebAssembly"),
        row(TableElements, "table-elements", Count, 1 << 20, "elements of one table of functions"),
        row(Memories, "memories", Count, 64, "memories of the component"),
        row(Instances, "instances", Count, 1_000, "core instances of the component, and tables"),
        row(Handles, "handles", Count, 10_000, "resources held at once, such as open files and streams"),
        row(Payload, "payload", Bytes, 1 << 20, "lists and strings passed by one call"),
        row(RandomBytes, "random-bytes", Bytes, 16 << 20, "random bytes asked for by one call"),
        row(Params, "params", Count, 10_000, "parameters of one trial"),
        row(Choices, "choices", Count, 10_000, "choices of a categorical parameter"),
        row(ChoiceLength, "choice-length", Bytes, 64 << 10, "text of one choice"),
        row(NameLength, "name-length", Chars, 512, "names of parameters, attributes and constraints"),
        row(UserAttrs, "user-attrs", Count, 1_000, "user attributes of a trial, and constraints"),
        row(AttrLength, "attr-length", Bytes, 1 << 20, "JSON text of one user attribute"),
        row(TrialData, "trial-data", Bytes, 2 << 20, "ranges, choices and attributes that a trial leaves in the study"),
        row(Reports, "reports", Count, 10_000, "reported steps that are stored; longer curves are thinned"),
        row(Log, "log", Bytes, 64 << 10, "log and output that is kept, the last of it"),
    ]
};

impl Limit {
    /// Returns all limits, in the order of the table.
    pub fn all() -> impl Iterator<Item = Limit> {
        TABLE.iter().map(|row| row.limit)
    }

    /// Returns the limit of this name.
    pub fn parse(name: &str) -> Option<Limit> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.limit)
    }

    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the unit.
    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// Returns a description in a few words.
    pub fn summary(self) -> &'static str {
        self.row().summary
    }

    /// Formats an amount in the limit's unit.
    pub fn show(self, amount: u64) -> String {
        match self.unit() {
            Unit::Bytes => byte_size(amount),
            Unit::Millis => format!("{} s", Duration::from_millis(amount).as_secs_f64()),
            Unit::Chars => counted(amount, "character"),
            Unit::Count => amount.to_string(),
        }
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// The value of every limit; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits([Option<u64>; TABLE.len()]);

impl Default for Limits {
    fn default() -> Self {
        Limits(std::array::from_fn(|index| TABLE[index].default))
    }
}

impl Limits {
    /// Returns the value of a limit, in its unit; `None` for no limit.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0[limit as usize]
    }

    /// Returns the value of a limit as a size; the largest size for no limit.
    pub fn size(&self, limit: Limit) -> usize {
        match self.get(limit) {
            Some(value) => usize::try_from(value).unwrap_or(usize::MAX),
            None => usize::MAX,
        }
    }

    /// Returns the value of a limit of time.
    pub fn duration(&self, limit: Limit) -> Option<Duration> {
        self.get(limit).map(Duration::from_millis)
    }

    /// Sets a limit.
    pub fn set(&mut self, limit: Limit, value: Option<u64>) {
        self.0[limit as usize] = value;
    }

    /// Returns the limits that differ from the defaults, as a JSON object from names to values in their units.
    pub fn to_json(&self) -> Json {
        let defaults = Limits::default();
        let moved = Limit::all().filter(|limit| self.get(*limit) != defaults.get(*limit));
        Json::object(moved.map(|limit| (limit.name(), self.get(limit).into())))
    }
}

/// A limit that an objective reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// The limit.
    pub limit: Limit,
    /// Its value, in its unit.
    pub allowed: u64,
    /// The amount that was asked for or used, in the same unit, where it is known.
    pub used: Option<u64>,
}

impl LimitHit {
    /// Returns the JSON for programs: `{"name": "memory", "allowed": 1024, "used": 2048, "unit": "bytes"}`.
    pub fn to_json(self) -> Json {
        let unit = match self.limit.unit() {
            Unit::Bytes => "bytes",
            Unit::Millis => "milliseconds",
            Unit::Chars => "characters",
            Unit::Count => "count",
        };
        Json::object([
            ("name", Json::from(self.limit.name())),
            ("allowed", Json::from(self.allowed)),
            ("used", self.used.into()),
            ("unit", Json::from(unit)),
        ])
    }
}

/// Formats `` 3 MiB, and limit `memory` allows 2 MiB ``.
impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(used) = self.used {
            write!(f, "{}, and ", self.limit.show(used))?;
        }
        write!(f, "limit `{}` allows {}", self.limit.name(), self.limit.show(self.allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.limit as usize, index, "{}", row.name);
            assert_eq!(Limit::parse(row.name), Some(row.limit));
        }
    }

    #[test]
    fn a_hit_names_the_limit_what_was_used_and_what_is_allowed() {
        let hit = LimitHit { limit: Limit::Memory, allowed: 64 << 20, used: Some((64 << 20) + 1) };
        assert_eq!(hit.to_string(), "65 MiB, and limit `memory` allows 64 MiB");
        let hit = LimitHit { limit: Limit::TrialTime, allowed: 1500, used: None };
        assert_eq!(hit.to_string(), "limit `trial-time` allows 1.5 s");
        let hit = LimitHit { limit: Limit::NameLength, allowed: 512, used: Some(513) };
        assert_eq!(
            hit.to_string(),
            "513 characters, and limit `name-length` allows 512 characters"
        );
        let json = r#"{"name": "name-length", "allowed": 512, "used": 513, "unit": "characters"}"#;
        assert_eq!(hit.to_json().to_string(), json);
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_written() {
        let mut limits = Limits::default();
        assert_eq!(limits.to_json().to_string(), "{}");
        limits.set(Limit::Fuel, Some(1000));
        limits.set(Limit::CompileTime, None);
        assert_eq!(limits.to_json().to_string(), r#"{"fuel": 1000, "compile-time": null}"#);
    }
}
