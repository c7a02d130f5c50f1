//! `--limit NAME=VALUE`: the limits that few users change.

use crate::args::quantity::parse_bytes;
use crate::view::failure::limit_flag;
use trialbox_core::Json;
use trialbox_core::study::limits::{Limit, Limits, Unit};
use trialbox_core::study::trial::MAX_NAME_CHARS;

/// A limit on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitArg {
    limit: Limit,
    value: u64,
}

/// The limits that have flags of their own.
const OWN_FLAGS: [Limit; 4] = [Limit::Memory, Limit::TrialTime, Limit::Fuel, Limit::CompileTime];

/// The largest stack that the system gives.
const MAX_STACK_BYTES: u64 = 64 << 20;

/// The limits that hold before a study is opened, which it cannot remember.
const BEFORE_STUDY: [Limit; 2] = [Limit::CompileMemory, Limit::ModuleSize];

/// Reads `NAME=VALUE`.
pub(crate) fn parse_limit(text: &str) -> Result<LimitArg, String> {
    let known = || names().collect::<Vec<_>>().join(", ");
    let (name, value) = text.split_once('=').ok_or_else(|| {
        format!("expected NAME=VALUE such as stack=4MiB, found `{text}`; the names are {}", known())
    })?;
    let limit = Limit::parse(name).filter(|limit| !OWN_FLAGS.contains(limit)).ok_or_else(|| {
        match Limit::parse(name) {
            Some(limit) => format!("`{name}` has a flag of its own: {}", limit_flag(limit)),
            None => format!("there is no limit `{name}`; choose one of {}", known()),
        }
    })?;
    let value = match limit.unit() {
        Unit::Bytes => parse_bytes(value)?,
        Unit::Millis | Unit::Chars | Unit::Count => value
            .parse()
            .map_err(|_| format!("expected a whole number for `{name}`, found `{value}`"))?,
    };
    check(limit, value)?;
    Ok(LimitArg { limit, value })
}

fn check(limit: Limit, value: u64) -> Result<(), String> {
    let most = match limit {
        Limit::Stack => MAX_STACK_BYTES,
        Limit::NameLength => MAX_NAME_CHARS as u64,
        _ => u64::MAX,
    };
    if value > most {
        return Err(format!("`{}` can be {} at most", limit.name(), limit.show(most)));
    }
    let least = match limit {
        Limit::Stack => 64 << 10,
        _ => 1,
    };
    if value < least {
        return Err(format!("`{}` must be {} at least", limit.name(), limit.show(least)));
    }
    Ok(())
}

fn names() -> impl Iterator<Item = &'static str> {
    Limit::all().filter(|limit| !OWN_FLAGS.contains(limit)).map(Limit::name)
}

/// Returns all limits of `--limit` with their defaults, for `--help`.
pub(crate) fn limits_help() -> String {
    let defaults = Limits::default();
    let lines = Limit::all().filter(|limit| !OWN_FLAGS.contains(limit)).map(|limit| {
        let default = defaults.get(limit).map(|value| limit.show(value)).unwrap_or_default();
        format!("\n  {:<15} {:<15} {}", limit.name(), default, limit.summary())
    });
    format!("Limits, for --limit NAME=VALUE, with their defaults:{}", lines.collect::<String>())
}

/// Applies the limits of the command line.
pub(crate) fn apply(args: &[LimitArg], limits: &mut Limits) {
    args.iter().for_each(|arg| limits.set(arg.limit, Some(arg.value)));
}

/// Returns the flag that sets a limit to a value.
pub(crate) fn as_flag(limit: Limit, value: u64) -> String {
    let text = match limit.unit() {
        Unit::Bytes if value.is_multiple_of(1 << 30) => format!("{}GiB", value >> 30),
        Unit::Bytes if value.is_multiple_of(1 << 20) => format!("{}MiB", value >> 20),
        _ => value.to_string(),
    };
    let own = OWN_FLAGS.contains(&limit);
    format!("{}{}{text}", limit_flag(limit), if own { " " } else { "=" })
}

/// Returns the explicit limits that a study remembers, and the fuel: an object from names to values, or `None` if there
/// are none.
pub(crate) fn to_remember(args: &[LimitArg], fuel: Option<u64>) -> Option<Json> {
    let mut members: Vec<(String, Json)> = Vec::new();
    let limits = args.iter().filter(|arg| !BEFORE_STUDY.contains(&arg.limit));
    let limits = limits.map(|arg| (arg.limit, arg.value));
    for (limit, value) in limits.chain(fuel.map(|fuel| (Limit::Fuel, fuel))) {
        members.retain(|(name, _)| name != limit.name());
        members.push((limit.name().to_owned(), Json::from(value)));
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    (!members.is_empty()).then_some(Json::Object(members))
}

/// Returns whether explicit limits contradict those that a study remembers. A study without a limit contradicts none.
pub(crate) fn contradict(stored: &Json, explicit: &Json) -> bool {
    let Json::Object(explicit) = explicit else { return false };
    explicit
        .iter()
        .any(|(name, value)| stored.get(name).is_some_and(|stored| !stored.python_eq(value)))
}

/// Returns the limits that a study remembers, with the explicit ones in their place.
pub(crate) fn merge(stored: Option<&Json>, explicit: &Json) -> Json {
    let (Some(Json::Object(stored)), Json::Object(explicit)) = (stored, explicit) else {
        return explicit.clone();
    };
    let is_stored_only = |name: &String| explicit.iter().all(|(found, _)| found != name);
    let mut members: Vec<_> =
        stored.iter().filter(|(name, _)| is_stored_only(name)).cloned().collect();
    members.extend(explicit.iter().cloned());
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    Json::Object(members)
}

/// Applies the limits that a study remembers.
///
/// # Errors
/// Fails with the name of a value that cannot be read: other programs write to the database too.
pub(crate) fn apply_remembered(remembered: &Json, limits: &mut Limits) -> Result<(), String> {
    let Json::Object(members) = remembered else {
        return Err(format!("expected an object of limits, found {remembered}"));
    };
    for (name, value) in members {
        let limit = Limit::parse(name).filter(|limit| is_remembered(*limit));
        let limit = limit.ok_or_else(|| format!("`{name}` is not a limit of a study"))?;
        let value = value
            .as_whole()
            .ok_or_else(|| format!("expected a whole number for `{name}`, found {value}"))?;
        check(limit, value)?;
        limits.set(limit, Some(value));
    }
    Ok(())
}

/// Applies the limits that a trial was run with, as far as they can be read.
pub(crate) fn apply_recorded(recorded: &Json, limits: &mut Limits) {
    let Json::Object(members) = recorded else { return };
    for (name, value) in members {
        if let (Some(limit), Some(value)) = (Limit::parse(name), value.as_u64())
            && limit != Limit::CompileTime
            && check(limit, value).is_ok()
        {
            // The database may only lower what this user allows.
            let most = limits.get(limit).unwrap_or(u64::MAX);
            limits.set(limit, Some(value.min(most)));
        }
    }
}

fn is_remembered(limit: Limit) -> bool {
    limit == Limit::Fuel || (!OWN_FLAGS.contains(&limit) && !BEFORE_STUDY.contains(&limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_in_its_unit() {
        let read = |text| parse_limit(text).map(|arg| (arg.limit, arg.value));
        assert_eq!(read("stack=2MiB"), Ok((Limit::Stack, 2 << 20)));
        assert_eq!(read("handles=7"), Ok((Limit::Handles, 7)));
        for (text, piece) in [
            ("stack", "NAME=VALUE"),
            ("stak=1MiB", "choose one of compile-memory, module-size, stack"),
            ("memory=1MiB", "--max-memory"),
            ("handles=many", "whole number"),
            ("handles=0", "at least"),
            ("stack=1GiB", "64 MiB at most"),
            ("name-length=600", "512 characters at most"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(piece), "{error}");
        }
    }

    #[test]
    fn what_holds_before_a_study_is_opened_is_not_remembered() {
        let arg = |text| parse_limit(text).expect(text);
        assert_eq!(to_remember(&[arg("module-size=1MiB")], None), None);
        let remembered = to_remember(&[arg("module-size=1MiB"), arg("handles=7")], Some(9));
        let remembered = remembered.expect("two of them");
        assert_eq!(remembered.to_string(), r#"{"fuel": 9, "handles": 7}"#);
        let mut limits = Limits::default();
        apply_remembered(&remembered, &mut limits).expect("what is remembered can be read");
        assert_eq!((limits.get(Limit::Fuel), limits.get(Limit::Handles)), (Some(9), Some(7)));
    }

    #[test]
    fn remembered_limits_are_compared_and_changed_name_by_name() {
        let json = |text: &str| Json::parse(text).expect("JSON");
        let kept = json(r#"{"fuel": 9, "handles": 7}"#);
        assert!(!contradict(&kept, &json(r#"{"handles": 7}"#)));
        assert!(!contradict(&kept, &json(r#"{"stack": 65536}"#)));
        assert!(contradict(&kept, &json(r#"{"handles": 8}"#)));
        let merged = merge(Some(&kept), &json(r#"{"handles": 8}"#));
        assert_eq!(merged.to_string(), r#"{"fuel": 9, "handles": 8}"#);
        for bad in [
            r#""x""#,
            r#"{"nosuch": 3}"#,
            r#"{"memory": 3}"#,
            r#"{"handles": -1}"#,
            r#"{"stack": 18446744073709551615}"#,
            r#"{"stack": 1}"#,
        ] {
            apply_remembered(&json(bad), &mut Limits::default()).expect_err(bad);
        }
    }
}
