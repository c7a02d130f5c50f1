//! The objectives of a study by their names, and values under them.

use crate::view::trial::{show_float, show_floats};
use trialbox_core::StudyRecord;

/// Returns the objectives' names; without metric names `value`, of several `value 0`, `value 1` and so on.
pub(crate) fn objective_names(study: &StudyRecord) -> Vec<String> {
    study.metric_names().unwrap_or_else(|| match study.directions.len() {
        1 => vec!["value".to_owned()],
        n => (0..n).map(|index| format!("value {index}")).collect(),
    })
}

/// Formats the objectives with their directions: `accuracy (maximize), n_parameters (minimize)`.
pub(crate) fn show_objectives(study: &StudyRecord) -> Vec<String> {
    let objectives = objective_names(study).into_iter().zip(&study.directions);
    objectives.map(|(name, direction)| format!("{name} ({direction})")).collect()
}

/// Formats values on one line, those of several objectives by name: `accuracy=0.97, n_parameters=1234`.
pub(crate) fn show_values(study: &StudyRecord, values: &[f64]) -> String {
    match study.metric_names() {
        Some(names) if names.len() > 1 && names.len() == values.len() => {
            let pairs = names.iter().zip(values);
            let shown = pairs.map(|(name, value)| format!("{name}={}", show_float(*value)));
            shown.collect::<Vec<_>>().join(", ")
        }
        _ => show_floats(values),
    }
}
