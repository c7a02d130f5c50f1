//! The figures, one file each: functions of a [`Subject`].

mod contour;
mod curves;
mod edf;
mod history;
mod importances;
mod parallel;
mod pareto;
mod scatter;
mod slices;
mod timeline;
mod usage;

pub(crate) use history::improvements;
pub(crate) use slices::edges_of_best;

use crate::figure::{Figure, FigureKind};
use crate::subject::Subject;

/// Returns a figure of a study.
///
/// # Errors
/// The reason why the study has none, such as too few trials.
pub fn figure(subject: &Subject, kind: FigureKind) -> Result<Figure, String> {
    match kind {
        FigureKind::History => history::history(subject),
        FigureKind::Importances => importances::importances(subject),
        FigureKind::Slices => slices::slices(subject),
        FigureKind::Parallel => parallel::parallel(subject),
        FigureKind::Contour => contour::contour(subject),
        FigureKind::Pareto => pareto::pareto(subject),
        FigureKind::Curves => curves::curves(subject),
        FigureKind::Timeline => timeline::timeline(subject),
        FigureKind::Edf => edf::edf(subject),
        FigureKind::Usage => usage::usage(subject),
    }
}

/// Returns all figures that the study has data for, and for the others the reason why it has none.
pub fn figures(subject: &Subject) -> (Vec<Figure>, Vec<(FigureKind, String)>) {
    let (mut drawn, mut missing) = (Vec::new(), Vec::new());
    for kind in FigureKind::ALL {
        match figure(subject, kind) {
            Ok(figure) => drawn.push(figure),
            Err(reason) => missing.push((kind, reason)),
        }
    }
    (drawn, missing)
}

/// The reason that most figures give.
const NO_RESULT: &str = "no trial is COMPLETE and feasible yet";
