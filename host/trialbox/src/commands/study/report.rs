//! `trialbox study report`: writes a page about a study.

use super::subject::Loaded;
use crate::args::storage::NamedStudyArgs;
use crate::commands::submit::quote::label;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{FigureRecord, Record, ReportRecord, View};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use trialbox_core::value::text::byte_size;
use trialbox_files::{create_folders, open_named, write_named};
use trialbox_report::{Answer, Figure, MARK, answers, figures, page};

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// Write the page to this file [default: STUDY-report.html]
    #[arg(short, long, value_name = "FILE.html")]
    output: Option<PathBuf>,

    /// Write each figure as SVG and its data as CSV to this folder, too
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

impl ReportArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let loaded = Loaded::read(storage.as_mut(), &name)?;
        let path =
            self.output.unwrap_or_else(|| PathBuf::from(format!("{}-report.html", label(&name))));
        refuse_foreign(&path)?;
        let subject = loaded.subject();
        let page = page(&subject).into_string();
        let (figures, _) = figures(&subject);
        if let Some(folder) = &self.export {
            export(folder, &figures)?;
        }
        write_named(&path, page.as_bytes(), None)
            .map_err(|error| CommandError::usage(error.to_string(), "choose another --output"))?;
        let written = Written { path, n_bytes: page.len() as u64, folder: self.export };
        output.print(&Report { study: name, answers: answers(&subject), figures, written });
        Ok(ExitCode::Done)
    }
}

/// Refuses to replace a file that trialbox has not written.
fn refuse_foreign(path: &Path) -> Result<(), CommandError> {
    let Ok(file) = open_named(path) else { return Ok(()) };
    let mut start = Vec::new();
    let is_read = file.take(200).read_to_end(&mut start).is_ok();
    if is_read && (start.is_empty() || String::from_utf8_lossy(&start).contains(MARK)) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "`{}`: expected a new file or a report of trialbox, found another file",
            path.display()
        ),
        "choose another name with --output, or move the file away",
    ))
}

/// Writes all figures and their data to a folder.
fn export(folder: &Path, figures: &[Figure]) -> Result<(), CommandError> {
    let explain = |error: trialbox_files::FileError| {
        CommandError::usage(error.to_string(), "choose another folder with --export")
    };
    create_folders(folder, 0o777).map_err(explain)?;
    for figure in figures {
        let name = figure.kind.as_str();
        for (extension, text) in [("svg", figure.to_svg()), ("csv", figure.data.to_csv())] {
            let path = folder.join(format!("{name}.{extension}"));
            write_named(&path, text.as_bytes(), None).map_err(explain)?;
        }
    }
    Ok(())
}

/// The files that were written.
struct Written {
    path: PathBuf,
    n_bytes: u64,
    folder: Option<PathBuf>,
}

/// The answers and the figures of a study, and the files that show them.
struct Report {
    study: String,
    answers: Vec<Answer>,
    figures: Vec<Figure>,
    written: Written,
}

impl View for Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for answer in &self.answers {
            let mark = if answer.is_warning { "!" } else { " " };
            text.push_str(&format!("{mark} {:<13} {}\n", answer.heading, answer.text));
        }
        let Written { path, n_bytes, folder } = &self.written;
        text.push_str(&format!("wrote {} ({})", path.display(), byte_size(*n_bytes)));
        if let Some(folder) = folder {
            text.push_str(&format!(
                "\nwrote {} figures, each as SVG and CSV, to {}",
                self.figures.len(),
                folder.display()
            ));
        }
        text
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        let Written { path, n_bytes, folder } = &self.written;
        let report = ReportRecord::new(
            &self.study,
            path.display().to_string(),
            *n_bytes,
            folder.as_ref().map(|folder| folder.display().to_string()),
            &self.answers,
        );
        let figures =
            self.figures.iter().map(|figure| FigureRecord::of(&self.study, figure).into());
        Box::new(std::iter::once(report.into()).chain(figures))
    }
}
