//! What was found out about a cluster: one sentence each.

use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Trials cannot run there, or data is lost.
    Error,
    /// Something has to be done, or left alone.
    Warning,
    /// Good to know.
    Note,
    /// As it should be.
    Ok,
}

impl Severity {
    pub(super) const ALL: [Severity; 4] =
        [Severity::Error, Severity::Warning, Severity::Note, Severity::Ok];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
            Severity::Ok => "ok",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The stable code, in kebab case: what was looked at.
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    /// What there is.
    pub(super) found: String,
    /// What it means for trials.
    pub(super) meaning: String,
    /// What to do; empty for nothing.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn ok(
        code: &'static str,
        found: impl Into<String>,
        meaning: impl Into<String>,
    ) -> Self {
        Finding::new(Severity::Ok, code, found, meaning, "")
    }

    pub(super) fn new(
        severity: Severity,
        code: &'static str,
        found: impl Into<String>,
        meaning: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (found, meaning, advice) = (found.into(), meaning.into(), advice.into());
        Finding { code, severity, found, meaning, advice }
    }

    /// The sentence.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}[{}]: {}", self.severity.as_str(), self.code, self.found);
        for (sign, part) in [(": ", &self.meaning), ("; ", &self.advice)] {
            if !part.is_empty() {
                text.push_str(sign);
                text.push_str(part);
            }
        }
        text
    }

    pub(super) fn line(&self) -> Value {
        json!({
            "event": "finding",
            "code": self.code,
            "severity": self.severity.as_str(),
            "found": self.found,
            "meaning": self.meaning,
            "advice": self.advice,
        })
    }
}
