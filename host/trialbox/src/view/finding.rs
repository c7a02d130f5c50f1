//! A finding of `doctor`, `doctor --slurm` or `submit`: one shape in text and JSON, one order, one rule for exit codes.

use crate::exit_code::ExitCode;
use serde::Serialize;
use trialbox_core::value::text::counted;
use trialbox_storage::doctor;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The command's subject cannot be used: data is lost, Python cannot read it, or Slurm would not run it.
    Error,
    /// Something gives wrong results, or needs an action.
    Warning,
    /// Worth knowing.
    Note,
    /// Checked, and in order.
    Ok,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Finding {
    /// The stable code in kebab case, which names the check.
    pub(crate) code: &'static str,
    /// The severity.
    pub(crate) severity: Severity,
    /// The observed facts.
    pub(crate) found: String,
    /// The consequence. Empty where the facts say enough.
    pub(crate) meaning: String,
    /// The action to take. Empty for none.
    pub(crate) advice: String,
}

/// The number of findings by severity, as a summary shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Counts {
    /// The number of errors.
    pub(crate) errors: usize,
    /// The number of warnings.
    pub(crate) warnings: usize,
    /// The number of notes.
    pub(crate) notes: usize,
    /// The number of checks that found everything in order.
    pub(crate) oks: usize,
}

impl Severity {
    /// Returns the word in lower case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
            Severity::Ok => "ok",
        }
    }
}

impl From<doctor::Severity> for Severity {
    fn from(severity: doctor::Severity) -> Self {
        match severity {
            doctor::Severity::Error => Severity::Error,
            doctor::Severity::Warning => Severity::Warning,
            doctor::Severity::Note => Severity::Note,
        }
    }
}

impl Finding {
    /// Returns a finding without meaning and advice.
    pub(crate) fn new(severity: Severity, code: &'static str, found: impl Into<String>) -> Self {
        let (meaning, advice) = (String::new(), String::new());
        Finding { code, severity, found: found.into(), meaning, advice }
    }

    pub(crate) fn error(code: &'static str, found: impl Into<String>) -> Self {
        Finding::new(Severity::Error, code, found)
    }

    pub(crate) fn warning(code: &'static str, found: impl Into<String>) -> Self {
        Finding::new(Severity::Warning, code, found)
    }

    pub(crate) fn note(code: &'static str, found: impl Into<String>) -> Self {
        Finding::new(Severity::Note, code, found)
    }

    pub(crate) fn ok(code: &'static str, found: impl Into<String>) -> Self {
        Finding::new(Severity::Ok, code, found)
    }

    /// Adds the consequence.
    pub(crate) fn meaning(self, meaning: impl Into<String>) -> Self {
        Finding { meaning: meaning.into(), ..self }
    }

    /// Adds the action to take.
    pub(crate) fn advice(self, advice: impl Into<String>) -> Self {
        Finding { advice: advice.into(), ..self }
    }

    /// Returns the text: one line if all is in order, else a line each for the facts, the meaning and the advice.
    pub(crate) fn to_text(&self) -> String {
        let separator = if self.severity == Severity::Ok { ": " } else { "\n  meaning: " };
        let mut text = format!("{}[{}]: {}", self.severity.as_str(), self.code, self.found);
        for (prefix, part) in [(separator, &self.meaning), ("\n  help: ", &self.advice)] {
            if !part.is_empty() {
                text.push_str(prefix);
                text.push_str(part);
            }
        }
        text
    }
}

impl Counts {
    /// Counts severities.
    pub(crate) fn of(severities: impl IntoIterator<Item = Severity>) -> Self {
        let mut counts = Counts::default();
        for severity in severities {
            match severity {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Note => counts.notes += 1,
                Severity::Ok => counts.oks += 1,
            }
        }
        counts
    }

    /// Returns the exit code: findings end a command with 0, unless one is an error; then with the command's `refusal`.
    pub(crate) fn exit_code(self, refusal: ExitCode) -> ExitCode {
        if self.errors > 0 { refusal } else { ExitCode::Done }
    }
}

/// Formats as `1 error, 0 warnings, 2 notes`, with `, 3 ok` after it where a check found all in order.
impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { errors, warnings, notes, oks } = *self;
        let counts = [(errors, "error"), (warnings, "warning"), (notes, "note")];
        let counts = counts.map(|(n, severity)| counted(n as u64, severity));
        f.write_str(&counts.join(", "))?;
        if oks > 0 { write!(f, ", {oks} ok") } else { Ok(()) }
    }
}

/// Sorts findings by severity, the worst first. Findings of one severity keep their order.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| finding.severity);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_that_is_in_order_is_one_line_and_any_other_has_a_line_for_each_part() {
        let ok = Finding::ok("locks", "locks hold").meaning("writers wait for each other");
        assert_eq!(ok.to_text(), "ok[locks]: locks hold: writers wait for each other");
        let warning = Finding::warning("time", "no --time").meaning("a").advice("b");
        assert_eq!(warning.to_text(), "warning[time]: no --time\n  meaning: a\n  help: b");
        assert_eq!(Finding::note("x", "y").to_text(), "note[x]: y");
    }

    #[test]
    fn findings_are_sorted_from_the_worst_and_only_an_error_changes_the_exit_code() {
        let mut findings = vec![
            Finding::ok("a", ""),
            Finding::warning("b", ""),
            Finding::error("c", ""),
            Finding::warning("d", ""),
        ];
        sort(&mut findings);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["c", "b", "d", "a"]);
        let counts = Counts::of(findings.iter().map(|finding| finding.severity));
        assert_eq!(counts.to_string(), "1 error, 2 warnings, 0 notes, 1 ok");
        assert_eq!(counts.exit_code(ExitCode::Usage), ExitCode::Usage);
        let no_errors = Counts { errors: 0, ..counts };
        assert_eq!(no_errors.exit_code(ExitCode::Usage), ExitCode::Done);
    }

    #[test]
    fn a_finding_has_the_same_keys_in_json_whatever_it_holds() {
        let json = serde_json::to_string(&Finding::ok("locks", "f")).expect("it serialises");
        let want = r#"{"code":"locks","severity":"ok","found":"f","meaning":"","advice":""}"#;
        assert_eq!(json, want);
    }
}
