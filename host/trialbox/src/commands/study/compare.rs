//! `trialbox study compare`: compares the values of studies with the first of them.

use super::subject::Loaded;
use crate::args::storage::StorageArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::{Output, table};
use crate::view::record::{ComparedRecord, Record, View};
use crate::view::trial::show_float;
use trialbox_report::{Compared, compare};

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// The studies; each is compared with the first
    #[arg(value_name = "STUDY", required = true, num_args = 2..)]
    studies: Vec<String>,
}

/// The p-value below which a difference is called clear.
const CLEAR: f64 = 0.01;

impl CompareArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let mut storage = self.storage.open()?;
        let mut loaded = Vec::new();
        for name in &self.studies {
            loaded.push(Loaded::read(storage.as_mut(), name)?);
        }
        let subjects: Vec<_> = loaded.iter().map(Loaded::subject).collect();
        let compared = compare(&subjects).map_err(|name| {
            CommandError::usage(
                format!(
                    "study `{name}`: expected one objective of the direction of `{}`",
                    self.studies[0]
                ),
                "compare studies of one objective with the same direction",
            )
        })?;
        output.print(&Comparison(compared));
        Ok(ExitCode::Done)
    }
}

/// Studies beside each other.
struct Comparison(Vec<Compared>);

impl View for Comparison {
    fn text(&self) -> String {
        let first = self.0.first().map(|compared| compared.name.clone()).unwrap_or_default();
        let against = format!("against {first}");
        let rows = self.0.iter().map(|compared| {
            vec![
                compared.name.clone(),
                compared.n_results.to_string(),
                compared.best.map(show_float).unwrap_or_default(),
                compared.median.map(show_float).unwrap_or_default(),
                verdict(compared),
            ]
        });
        table(&["study", "results", "best", "median", &against], rows)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.0.iter().map(|compared| ComparedRecord::of(compared).into()))
    }
}

/// Returns a comparison in words.
fn verdict(compared: &Compared) -> String {
    let Some(test) = compared.against_first else { return String::new() };
    let share = format!("{:.0} % of pairs better", test.superiority * 100.0);
    let p_value = match test.p_value {
        p if p < 1e-4 => "p < 0.0001".to_owned(),
        p => format!("p = {p:.4}"),
    };
    let verdict = match (test.p_value < CLEAR, test.superiority > 0.5) {
        (false, _) => "no more than chance",
        (true, true) => "clearly better",
        (true, false) => "clearly worse",
    };
    format!("{verdict} ({share}, {p_value})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_report::RankTest;

    #[test]
    fn a_difference_is_called_clear_only_if_chance_hardly_explains_it() {
        for (superiority, p_value, want) in [
            (0.9, 1e-6, "clearly better (90 % of pairs better, p < 0.0001)"),
            (0.2, 0.005, "clearly worse (20 % of pairs better, p = 0.0050)"),
            (0.6, 0.04, "no more than chance (60 % of pairs better, p = 0.0400)"),
        ] {
            let compared = Compared {
                name: "a".to_owned(),
                n_results: 1,
                best: None,
                median: None,
                against_first: Some(RankTest { superiority, p_value }),
            };
            assert_eq!(verdict(&compared), want);
        }
    }
}
