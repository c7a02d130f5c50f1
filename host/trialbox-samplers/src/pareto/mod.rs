//! Several objectives: who dominates whom, how much a set of points covers, which subset covers most.
//!
//! Points are rows of losses: smaller is better in every column.

mod front;
mod hypervolume;
mod rank;
mod subset;

pub use front::{losses, pareto_front};
pub use hypervolume::hypervolume;
pub use rank::non_domination_ranks;
pub use subset::{reference_point, select_subset};

/// Compares two points by their first column, then by the next.
fn lexicographic(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Returns the indices of the distinct points in lexicographic order, the first of equals; and for each point the
/// place of its equal among them.
fn distinct(points: &[Vec<f64>]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| lexicographic(&points[*a], &points[*b]));
    let mut firsts: Vec<usize> = Vec::new();
    let mut places = vec![0; points.len()];
    for index in order {
        match firsts.last().copied() {
            Some(last) if lexicographic(&points[last], &points[index]).is_eq() => {}
            _ => firsts.push(index),
        }
        places[index] = firsts.len() - 1;
    }
    (firsts, places)
}
