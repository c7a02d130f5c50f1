//! What is looked at before anything is made or submitted; each finding is a sentence.

mod advice;
mod failures;
mod files;
mod slurm;

pub(super) use advice::{Times, check_parallel, check_times};
pub(super) use failures::check_failures;
pub(super) use files::{check_file, check_folder, check_seen, check_storage};
pub(super) use slurm::check_slurm;

use serde_json::{Value, json};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// Probably not as the user wants it.
    Warning,
    /// Nothing is submitted.
    Error,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at, for programs.
    pub(super) check: &'static str,
    pub(super) text: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

impl Finding {
    pub(in crate::commands::submit) fn new(
        level: Level,
        check: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Finding { level, check, text: text.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Finding { help: Some(help.into()), ..self }
    }

    /// One line, with its help on a second.
    pub(super) fn to_text(&self) -> String {
        let help = self.help.iter().map(|help| format!("\n  help: {help}")).collect::<String>();
        format!("{}: {}{help}", self.level.as_str(), self.text)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "check": self.check,
            "level": self.level.as_str(),
            "message": self.text,
            "help": self.help,
        })
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}
