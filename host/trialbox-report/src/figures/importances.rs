//! The importance of each parameter, and the direction in which it works.

use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Table};
use crate::label::label;
use crate::number::percent;
use crate::params::Parameter;
use crate::scale::Scale;
use crate::subject::Subject;
use trialbox_core::Distribution;

/// The number of parameters that the plot shows.
const SHOWN: usize = 20;

pub(super) fn importances(subject: &Subject) -> Result<Figure, String> {
    let importances = subject.importances().map_err(str::to_owned)?;
    let mut data = Table::new(&["parameter", "importance", "better values"]);
    for (name, importance) in importances {
        let parameter = subject.parameters().iter().find(|parameter| parameter.name == *name);
        let tendency = parameter.and_then(|parameter| tendency(subject, parameter));
        data.rows.push(vec![
            Cell::Text(name.clone()),
            Cell::Number(*importance),
            tendency.map_or(Cell::None, |word| Cell::Text(word.to_owned())),
        ]);
    }
    let caption = caption(subject, importances, &data);
    let shown = &importances[..importances.len().min(SHOWN)];
    // The first is the uppermost.
    let names = shown.iter().rev().map(|(name, _)| label(name)).collect();
    let bars = shown.iter().rev().enumerate().map(|(row, (_, value))| (row as f64, *value));
    let most = shown.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let panel = Panel::new(
        Axis::new("share of the importance", Scale::Linear(0.0, (most * 1.05).max(1e-3))),
        Axis::new("", Scale::Names(names)),
        vec![Layer::Bars(bars.collect())],
    );
    Ok(Figure { kind: FigureKind::Importances, caption, data, panels: vec![panel] })
}

fn caption(subject: &Subject, importances: &[(String, f64)], data: &Table) -> String {
    let Some((name, share)) = importances.first() else { return String::new() };
    let goal = if subject.is_single() {
        "whether a trial is among the best tenth"
    } else {
        "whether a trial is near the Pareto front"
    };
    let name = label(name);
    let mut caption = format!("`{name}` decides most, {} of {goal} (PED-ANOVA).", percent(*share));
    if let Some(Cell::Text(word)) = data.rows.first().map(|row| &row[2]) {
        caption.push_str(&format!(" Better trials have {word} values of it."));
    }
    if importances.len() > SHOWN {
        caption
            .push_str(&format!(" The {SHOWN} most important of {} are drawn.", importances.len()));
    }
    caption
}

/// Returns whether the better half of the trials has larger or smaller values of a numeric parameter, if the two halves
/// differ clearly.
fn tendency(subject: &Subject, parameter: &Parameter) -> Option<&'static str> {
    if !subject.is_single() || matches!(parameter.distribution, Distribution::Categorical(_)) {
        return None;
    }
    let direction = subject.directions()[0];
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for (index, value) in &parameter.values {
        let trial = &subject.trials()[*index];
        if let (trialbox_core::TrialState::Complete, Some(result)) = (trial.state, trial.value()) {
            pairs.push((direction.to_minimize(result), *value));
        }
    }
    let correlation = rank_correlation(&mut pairs)?;
    match correlation {
        rho if rho <= -0.2 => Some("larger"),
        rho if rho >= 0.2 => Some("smaller"),
        _ => None,
    }
}

/// Returns Spearman's rank correlation; `None` for fewer than eight pairs or no variance.
fn rank_correlation(pairs: &mut [(f64, f64)]) -> Option<f64> {
    if pairs.len() < 8 {
        return None;
    }
    let first = ranks(&pairs.iter().map(|(a, _)| *a).collect::<Vec<_>>());
    let second = ranks(&pairs.iter().map(|(_, b)| *b).collect::<Vec<_>>());
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let (mut covariance, mut variance_a, mut variance_b) = (0.0, 0.0, 0.0);
    for (a, b) in first.iter().zip(&second) {
        covariance += (a - mean) * (b - mean);
        variance_a += (a - mean).powi(2);
        variance_b += (b - mean).powi(2);
    }
    let correlation = covariance / (variance_a * variance_b).sqrt();
    correlation.is_finite().then_some(correlation)
}

/// Returns the rank of each value from 0, of equal ones the mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|index| ranks[*index] = rank);
        start += same.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_values_are_their_mean() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        let mut pairs: Vec<(f64, f64)> = (0..9).map(|n| (f64::from(n), f64::from(-n))).collect();
        assert_eq!(rank_correlation(&mut pairs), Some(-1.0));
        assert_eq!(rank_correlation(&mut pairs[..3]), None);
    }
}
