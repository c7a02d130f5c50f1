//! Parameters on the command line: `--space 'lr=log(1e-5, 0.1)'`.

use trialbox_core::seam::storage::check_name;
use trialbox_core::{Distribution, Json};

const FORMS: &str = "float(LOW, HIGH), float(LOW, HIGH, step=S), log(LOW, HIGH), int(LOW, HIGH), \
                     int(LOW, HIGH, step=S), logint(LOW, HIGH) or choice(A, B, …)";

/// Reads `NAME=RANGE`.
pub(crate) fn parse_param_range(text: &str) -> Result<(String, Distribution), String> {
    let Some((name, range)) = text.split_once('=') else {
        return Err(format!("expected NAME=RANGE such as 'lr=log(1e-5, 0.1)', found `{text}`"));
    };
    let name = name.trim();
    check_name("parameter name", name).map_err(|error| error.to_string())?;
    let range = parse_range(range).map_err(|problem| format!("parameter `{name}`: {problem}"))?;
    Ok((name.to_owned(), range))
}

/// Reads a range such as `log(1e-5, 0.1)`.
pub(crate) fn parse_range(range: &str) -> Result<Distribution, String> {
    let (kind, arguments) = split_call(range).ok_or_else(|| unknown_form(range))?;
    match kind {
        "float" | "log" => float(arguments, kind == "log"),
        "int" | "logint" => int(arguments, kind == "logint"),
        "choice" => choice(arguments),
        _ => Err(unknown_form(range)),
    }
}

/// Splits `kind(arguments)`.
fn split_call(text: &str) -> Option<(&str, &str)> {
    let (kind, arguments) = text.trim().split_once('(')?;
    Some((kind.trim(), arguments.strip_suffix(')')?))
}

fn unknown_form(range: &str) -> String {
    format!("expected {FORMS}, found `{}`", range.trim())
}

fn float(arguments: &str, log: bool) -> Result<Distribution, String> {
    let bounds = Bounds::<f64>::read(arguments)?;
    let distribution = Distribution::float(bounds.low, bounds.high, log, bounds.step)
        .map_err(|error| error.to_string())?;
    distribution.require_drawable().map_err(|error| error.to_string())?;
    Ok(distribution)
}

fn int(arguments: &str, log: bool) -> Result<Distribution, String> {
    let bounds = Bounds::<i64>::read(arguments)?;
    Distribution::int(bounds.low, bounds.high, log, bounds.step.unwrap_or(1))
        .map_err(|error| error.to_string())
}

fn choice(arguments: &str) -> Result<Distribution, String> {
    let choices = split_choices(arguments).iter().map(|text| json_or_text(text)).collect();
    Distribution::categorical(choices).map_err(|error| error.to_string())
}

/// The bounds of a range, and its step.
struct Bounds<T> {
    low: T,
    high: T,
    step: Option<T>,
}

/// A type of bounds, and what messages call it.
trait Bound: std::str::FromStr {
    const KIND: &'static str;
}

impl Bound for f64 {
    const KIND: &'static str = "a number";
}

impl Bound for i64 {
    const KIND: &'static str = "a whole number";
}

impl<T: Bound> Bounds<T> {
    fn read(arguments: &str) -> Result<Self, String> {
        let words: Vec<&str> = arguments.split(',').map(str::trim).collect();
        let number = |text: &str| {
            let wrong = || format!("expected {} as bound or step, found `{text}`", T::KIND);
            text.parse::<T>().map_err(|_| wrong())
        };
        match words[..] {
            [low, high] => Ok(Bounds { low: number(low)?, high: number(high)?, step: None }),
            [low, high, step] => {
                let step =
                    step.strip_prefix("step").and_then(|rest| rest.trim_start().strip_prefix('='));
                let Some(step) = step else {
                    return Err(format!("expected step=S after two bounds, found `{}`", words[2]));
                };
                Ok(Bounds {
                    low: number(low)?,
                    high: number(high)?,
                    step: Some(number(step.trim())?),
                })
            }
            _ => Err(format!("expected a lower and an upper bound, found `{arguments}`")),
        }
    }
}

/// Splits choices at commas that are not between quotation marks.
fn split_choices(text: &str) -> Vec<String> {
    let (mut choices, mut choice, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            ',' if !is_quoted => choices.push(std::mem::take(&mut choice)),
            _ => {
                is_quoted ^= c == '"';
                choice.push(c);
            }
        }
    }
    choices.push(choice);
    choices
        .iter()
        .map(|choice| choice.trim().to_owned())
        .filter(|choice| !choice.is_empty())
        .collect()
}

/// Reads a choice as JSON, else as a string, as `--param` does.
fn json_or_text(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|_| Json::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, want) in [
            ("lr=log(1e-5, 1e-1)", Distribution::float(1e-5, 0.1, true, None)),
            ("x = float(-10,10)", Distribution::float(-10.0, 10.0, false, None)),
            ("x=float(0, 1, step=0.25)", Distribution::float(0.0, 1.0, false, Some(0.25))),
            ("n=int(1, 9)", Distribution::int(1, 9, false, 1)),
            ("n=int(0, 100, step = 10)", Distribution::int(0, 100, false, 10)),
            ("n=logint(1, 1024)", Distribution::int(1, 1024, true, 1)),
            (
                "k=choice(adam, sgd, 3, 0.5, true, null, \"a, b\")",
                Distribution::categorical(vec![
                    "adam".into(),
                    "sgd".into(),
                    3i64.into(),
                    0.5.into(),
                    Json::Bool(true),
                    Json::Null,
                    "a, b".into(),
                ]),
            ),
        ] {
            let (_, found) = parse_param_range(text).expect(text);
            assert_eq!(found, want.expect("a range"), "{text}");
        }
        assert_eq!(parse_param_range("a b = int(1, 2)").expect("a name with a space").0, "a b");
    }

    #[test]
    fn a_range_that_cannot_be_read_names_the_parameter_and_the_fault() {
        for (text, want) in [
            ("lr", "expected NAME=RANGE such as 'lr=log(1e-5, 0.1)', found `lr`"),
            ("lr=0.1", "parameter `lr`: expected float(LOW, HIGH)"),
            ("lr=uniform(0, 1)", "found `uniform(0, 1)`"),
            (
                "n=int(1, 2.5)",
                "parameter `n`: expected a whole number as bound or step, found `2.5`",
            ),
            ("n=int(1)", "parameter `n`: expected a lower and an upper bound, found `1`"),
            ("n=int(1, 2, 3)", "parameter `n`: expected step=S after two bounds, found `3`"),
            ("x=float(1, 0)", "parameter `x`: "),
            ("x=float(0, inf)", "parameter `x`: "),
            ("k=choice()", "parameter `k`: "),
        ] {
            let error = parse_param_range(text).expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
