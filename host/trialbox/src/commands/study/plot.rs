//! `trialbox study plot`: draws one figure of a study.

use super::subject::Loaded;
use crate::args::storage::StudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::{Output, terminal_size};
use crate::view::record::{FigureRecord, Rendered};
use std::path::{Path, PathBuf};
use trialbox_core::value::text::byte_size;
use trialbox_files::write_named;
use trialbox_report::{Figure, FigureKind, figure};

/// The columns of a figure where the terminal's width is not known.
const USUAL_WIDTH: usize = 80;

#[derive(Debug, clap::Args)]
pub(crate) struct PlotArgs {
    /// The figure
    ///
    /// history, pareto, importances, slices, parallel, contour, curves, timeline, edf or usage
    #[arg(value_name = "FIGURE", value_parser = parse_figure)]
    figure: FigureKind,

    #[command(flatten)]
    study: StudyArgs,

    /// Write the figure to a file, by its name as SVG or as CSV; - prints it as text [default: -]
    #[arg(short, long, value_name = "FILE.svg|FILE.csv|-")]
    output: Option<PathBuf>,
}

impl PlotArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let loaded = Loaded::read(storage.as_mut(), &name)?;
        let figure = figure(&loaded.subject(), self.figure).map_err(|reason| {
            CommandError::usage(
                format!("study `{name}` has no figure `{}`: {reason}", self.figure.as_str()),
                "`trialbox study trials` shows its trials",
            )
        })?;
        let text = match self.output.as_deref().filter(|path| *path != Path::new("-")) {
            Some(path) => write(path, &figure)?,
            None => figure.to_text(
                terminal_size().map_or(USUAL_WIDTH, |(columns, _)| columns.clamp(40, 200)),
            ),
        };
        output.print(&Rendered::new(text, FigureRecord::of(&name, &figure)));
        Ok(ExitCode::Done)
    }
}

/// Writes a figure in the form that the file's name asks for; returns the sentence that says so.
fn write(path: &Path, figure: &Figure) -> Result<String, CommandError> {
    let content = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => figure.to_svg(),
        Some("csv") => figure.data.to_csv(),
        _ => {
            return Err(CommandError::usage(
                format!("expected a name that ends in .svg or .csv, found `{}`", path.display()),
                "for example: --output history.svg",
            ));
        }
    };
    write_named(path, content.as_bytes(), None)
        .map_err(|error| CommandError::usage(error.to_string(), "choose another --output"))?;
    Ok(format!("wrote {} ({})", path.display(), byte_size(content.len() as u64)))
}

fn parse_figure(text: &str) -> Result<FigureKind, String> {
    FigureKind::parse(text).ok_or_else(|| {
        let known = FigureKind::ALL.map(FigureKind::as_str).join(", ");
        format!("expected one of {known}, found `{text}`")
    })
}
