//! The records of reports and figures.

use super::value::Float;
use serde::Serialize;
use trialbox_report::{Answer, Cell, Compared, Figure};

/// A page about a study.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReportRecord {
    /// The study's name.
    study: String,
    /// The path of the page.
    file: String,
    /// The size of the page.
    bytes: u64,
    /// The folder with the figures, if they were exported.
    export: Option<String>,
    /// The answers to the first questions about the study.
    answers: Vec<AnswerRecord>,
}

/// An answer to a question about a study.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AnswerRecord {
    /// `progress`, `best`, `failures`, `importance`, `edges` or `outlook`.
    topic: &'static str,
    /// One sentence or several, for people.
    text: String,
    /// True if the user should do something about it.
    is_warning: bool,
}

/// A figure of a study: its data.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FigureRecord {
    /// The study's name.
    study: String,
    /// `history`, `pareto`, `importances`, `slices`, `parallel`, `contour`, `curves`, `timeline`, `edf` or `usage`.
    figure: &'static str,
    /// A sentence or two that the data says, for people.
    caption: String,
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows, each as long as the columns.
    rows: Vec<Vec<CellRecord>>,
}

/// A cell of a figure's data.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum CellRecord {
    /// No value.
    None(()),
    /// A count or a trial's number.
    Count(u64),
    /// A number.
    Number(Float),
    /// Text.
    Text(String),
}

impl ReportRecord {
    /// Returns the record of a page that was written.
    pub(crate) fn new(
        study: &str,
        file: String,
        bytes: u64,
        export: Option<String>,
        answers: &[Answer],
    ) -> Self {
        let answers = answers.iter().map(|answer| AnswerRecord {
            topic: answer.topic,
            text: answer.text.clone(),
            is_warning: answer.is_warning,
        });
        ReportRecord { study: study.to_owned(), file, bytes, export, answers: answers.collect() }
    }
}

impl FigureRecord {
    /// Returns the record of a figure.
    pub(crate) fn of(study: &str, figure: &Figure) -> Self {
        let row = |cells: &Vec<Cell>| cells.iter().map(CellRecord::of).collect();
        FigureRecord {
            study: study.to_owned(),
            figure: figure.kind.as_str(),
            caption: figure.caption.clone(),
            columns: figure.data.columns.clone(),
            rows: figure.data.rows.iter().map(row).collect(),
        }
    }
}

impl CellRecord {
    fn of(cell: &Cell) -> Self {
        match cell {
            Cell::None => CellRecord::None(()),
            Cell::Count(count) => CellRecord::Count(*count),
            Cell::Number(value) => CellRecord::Number(Float(*value)),
            Cell::Text(text) => CellRecord::Text(text.clone()),
        }
    }
}

/// A study in a comparison.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ComparedRecord {
    /// The study's name.
    study: String,
    /// The number of COMPLETE and feasible trials.
    n_results: usize,
    /// The best value; null without a result.
    best: Option<Float>,
    /// The value in the middle; null without a result.
    median: Option<Float>,
    /// The chance that a trial of this study is better than one of the first study, equal values counted half; null
    /// for the first study.
    superiority: Option<f64>,
    /// The probability of a difference at least as large if it were chance (Mann and Whitney's rank test, two-sided);
    /// null for the first study.
    p_value: Option<f64>,
}

impl ComparedRecord {
    /// Returns the record of a study in a comparison.
    pub(crate) fn of(compared: &Compared) -> Self {
        ComparedRecord {
            study: compared.name.clone(),
            n_results: compared.n_results,
            best: compared.best.map(Float),
            median: compared.median.map(Float),
            superiority: compared.against_first.map(|test| test.superiority),
            p_value: compared.against_first.map(|test| test.p_value),
        }
    }
}
