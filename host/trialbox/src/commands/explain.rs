//! `trialbox explain`: the page of a failure code or of an exit code.

use crate::codes::{Page, all, page};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{PageRecord, Rendered};

const EXAMPLES: &str = "\
Examples:
  trialbox explain E-MEM
  trialbox explain 75";

/// Explain a failure code or an exit code.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The code, such as E-MEM or 75
    code: String,
}

impl ExplainArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let Some(page) = page(&self.code) else { return Err(unknown(&self.code)) };
        let Page { code, meaning, causes, remedy } = *page;
        let record = PageRecord {
            code: code.to_owned(),
            meaning: meaning.to_owned(),
            causes: causes.to_owned(),
            help: remedy.to_owned(),
        };
        output.print(&Rendered::new(page.text(), record));
        Ok(ExitCode::Done)
    }
}

fn unknown(code: &str) -> CommandError {
    let upper = code.to_ascii_uppercase();
    let likeness = |page: &Page| strsim::jaro(page.code, &upper);
    let nearest = all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let help = match nearest.filter(|page| likeness(page) > 0.7) {
        Some(page) => format!("did you mean `{}`?", page.code),
        None => {
            let codes: Vec<&str> = all().map(|page| page.code).collect();
            format!("the codes are: {}", codes.join(", "))
        }
    };
    CommandError::usage(format!("there is no code `{code}`"), help)
}
