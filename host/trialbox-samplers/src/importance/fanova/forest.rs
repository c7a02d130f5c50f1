//! A random forest for regression, whose trees show their splits.

use std::ops::Range;
use trialbox_core::seam::rng::{TrialRng, below, seeded_rng};

/// As Optuna asks for.
const N_TREES: usize = 64;

/// As Optuna asks for.
const MAX_DEPTH: usize = 64;

/// A regression tree; the root is node 0, and children stand after their parents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    /// The prediction, less the mean of all targets.
    Leaf { value: f64 },
    /// Left is what is at most `threshold` in `column`.
    Split {
        column: usize,
        threshold: f64,
        left: usize,
        right: usize,
        /// By how much the split lowers the sum of the squared deviations.
        decrease: f64,
    },
}

impl Tree {
    /// Returns for each of `n_columns` the amount by which splits on it lower the sum of the squared deviations.
    pub(super) fn decreases(&self, n_columns: usize) -> Vec<f64> {
        let mut decreases = vec![0.0; n_columns];
        for node in &self.nodes {
            if let Node::Split { column, decrease, .. } = node {
                decreases[*column] += decrease;
            }
        }
        decreases
    }
}

/// Trees that each learn a bootstrap sample of the rows, down to single values (Breiman 2001, "Random
/// Forests", with all columns tried at each split, as scikit-learn does for regression).
///
/// `columns`: d × n; `targets`: n, at least 1. The same for the same arguments. O(d·n·depth) a tree: the
/// rows are sorted by each column once, and splits keep the order.
pub(super) fn grow_forest(columns: &[Vec<f64>], targets: &[f64], seed: u64) -> Vec<Tree> {
    let mut rng = seeded_rng(seed);
    let n = targets.len();
    let mean = targets.iter().map(|target| target / n as f64).sum::<f64>();
    // Around 0, sums of squares keep their digits.
    let targets: Vec<f64> = targets.iter().map(|target| target - mean).collect();
    let orders: Vec<Vec<u32>> = columns.iter().map(|column| sort_rows(column)).collect();
    (0..N_TREES).map(|_| Growing::new(columns, &targets, &orders, &mut rng).grow()).collect()
}

/// Returns the rows in the order of their values, equal ones in their own.
fn sort_rows(column: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..column.len() as u32).collect();
    order.sort_by(|a, b| column[*a as usize].total_cmp(&column[*b as usize]));
    order
}

/// A tree on its way. A node's rows stand in the same range of each of `orders`.
struct Growing<'a> {
    columns: &'a [Vec<f64>],
    targets: &'a [f64],
    /// The number of times that each row was drawn.
    weights: Vec<f64>,
    /// For each column, the rows that were drawn in the order of their values.
    orders: Vec<Vec<u32>>,
    /// For each row, where the latest split sends it.
    goes_left: Vec<bool>,
    /// The order in which columns are tried: of equally good splits, the first is taken.
    tried: Vec<usize>,
    nodes: Vec<Node>,
    rng: &'a mut TrialRng,
}

#[derive(Debug, Clone, Copy)]
struct Split {
    column: usize,
    threshold: f64,
    n_left: usize,
    /// Σ over both sides of (Σ targets)²/weight: the larger, the less the targets deviate there.
    score: f64,
}

/// Weighted count and sum of the targets.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    target: f64,
}

impl Sums {
    fn add(&mut self, weight: f64, target: f64) {
        self.weight += weight;
        self.target += weight * target;
    }

    fn score(&self) -> f64 {
        self.target * self.target / self.weight
    }
}

impl<'a> Growing<'a> {
    fn new(
        columns: &'a [Vec<f64>],
        targets: &'a [f64],
        orders: &[Vec<u32>],
        rng: &'a mut TrialRng,
    ) -> Self {
        let n = targets.len();
        let mut weights = vec![0.0; n];
        (0..n).for_each(|_| weights[below(n as u64, rng) as usize] += 1.0);
        let mut orders = orders.to_vec();
        for order in &mut orders {
            order.retain(|row| weights[*row as usize] > 0.0);
        }
        let (goes_left, tried) = (vec![false; n], (0..columns.len()).collect());
        Growing { columns, targets, weights, orders, goes_left, tried, nodes: vec![], rng }
    }

    fn grow(mut self) -> Tree {
        let n = self.orders.first().map_or(0, Vec::len);
        self.grow_node(0..n, 0);
        Tree { nodes: self.nodes }
    }

    /// Adds the node of these rows with all below it; gives its index.
    fn grow_node(&mut self, rows: Range<usize>, depth: usize) -> usize {
        let index = self.nodes.len();
        let sums = self.sums(rows.clone());
        let value = if rows.is_empty() { 0.0 } else { sums.target / sums.weight };
        self.nodes.push(Node::Leaf { value });
        if depth == MAX_DEPTH || self.is_pure(rows.clone()) {
            return index;
        }
        let Some(split) = self.best_split(rows.clone(), sums) else { return index };
        self.partition(rows.clone(), &split);
        let middle = rows.start + split.n_left;
        let left = self.grow_node(rows.start..middle, depth + 1);
        let right = self.grow_node(middle..rows.end, depth + 1);
        let Split { column, threshold, score, .. } = split;
        let decrease = (score - sums.score()).max(0.0);
        self.nodes[index] = Node::Split { column, threshold, left, right, decrease };
        index
    }

    /// Returns the rows of a node, in the order of the first column.
    fn rows(&self, rows: Range<usize>) -> impl Iterator<Item = usize> {
        self.orders.first().into_iter().flat_map(move |it| &it[rows.clone()]).map(|it| *it as usize)
    }

    fn sums(&self, rows: Range<usize>) -> Sums {
        let mut sums = Sums::default();
        self.rows(rows).for_each(|row| sums.add(self.weights[row], self.targets[row]));
        sums
    }

    fn is_pure(&self, rows: Range<usize>) -> bool {
        let mut targets = self.rows(rows).map(|row| self.targets[row]);
        let first = targets.next();
        targets.all(|target| Some(target) == first)
    }

    fn best_split(&mut self, rows: Range<usize>, all: Sums) -> Option<Split> {
        shuffle(&mut self.tried, self.rng);
        let mut best: Option<Split> = None;
        for column in &self.tried {
            self.improve(&mut best, *column, rows.clone(), all);
        }
        best
    }

    /// Replaces the best split by a better one on this column.
    fn improve(&self, best: &mut Option<Split>, column: usize, rows: Range<usize>, all: Sums) {
        let (order, values) = (&self.orders[column][rows], &self.columns[column]);
        let mut left = Sums::default();
        for (place, pair) in order.windows(2).enumerate() {
            let (row, next) = (pair[0] as usize, pair[1] as usize);
            left.add(self.weights[row], self.targets[row]);
            if values[row] == values[next] {
                continue;
            }
            let right = Sums { weight: all.weight - left.weight, target: all.target - left.target };
            let score = left.score() + right.score();
            if best.is_none_or(|best| score > best.score) {
                let threshold = between(values[row], values[next]);
                *best = Some(Split { column, threshold, n_left: place + 1, score });
            }
        }
    }

    /// Brings the rows that go left before the others, in each order, and keeps the order otherwise.
    fn partition(&mut self, rows: Range<usize>, split: &Split) {
        for (place, row) in self.orders[split.column][rows.clone()].iter().enumerate() {
            self.goes_left[*row as usize] = place < split.n_left;
        }
        let mut right = Vec::with_capacity(rows.len() - split.n_left);
        for order in &mut self.orders {
            let order = &mut order[rows.clone()];
            right.clear();
            let mut n_left = 0;
            for place in 0..order.len() {
                let row = order[place];
                if self.goes_left[row as usize] {
                    order[n_left] = row;
                    n_left += 1;
                } else {
                    right.push(row);
                }
            }
            order[n_left..].copy_from_slice(&right);
        }
    }
}

/// Returns the middle of two values, or the lower one if rounding would carry the middle to the upper one.
fn between(low: f64, high: f64) -> f64 {
    let middle = 0.5 * low + 0.5 * high;
    if middle < high { middle } else { low }
}

/// Fisher and Yates.
fn shuffle(items: &mut [usize], rng: &mut TrialRng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last as u64 + 1, rng) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 rows: a column that the targets are a step function of, and one that says nothing.
    fn rows() -> (Vec<Vec<f64>>, Vec<f64>) {
        let x: Vec<f64> = (0..40).map(f64::from).collect();
        let y: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40)).collect();
        let targets = x.iter().map(|x| if *x < 10.0 { 0.0 } else { 1.0 }).collect();
        (vec![x, y], targets)
    }

    #[test]
    fn a_forest_is_a_function_of_its_seed() {
        let (columns, targets) = rows();
        assert_eq!(grow_forest(&columns, &targets, 1), grow_forest(&columns, &targets, 1));
        assert_ne!(grow_forest(&columns, &targets, 1), grow_forest(&columns, &targets, 2));
    }

    #[test]
    fn a_tree_predicts_every_row_that_it_has_seen() {
        let (columns, _) = rows();
        let targets: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let mean = targets.iter().sum::<f64>() / 40.0;
        let mut rng = seeded_rng(3);
        let orders: Vec<Vec<u32>> = columns.iter().map(|column| sort_rows(column)).collect();
        let growing = Growing::new(&columns, &targets, &orders, &mut rng);
        let seen: Vec<usize> = (0..40).filter(|row| growing.weights[*row] > 0.0).collect();
        let tree = growing.grow();
        assert!(seen.len() > 15 && mean > 0.0);
        for row in seen {
            assert_eq!(predict(&tree, &columns, row), targets[row]);
        }
    }

    fn predict(tree: &Tree, columns: &[Vec<f64>], row: usize) -> f64 {
        let mut index = 0;
        loop {
            match tree.nodes[index] {
                Node::Leaf { value } => return value,
                Node::Split { column, threshold, left, right, .. } => {
                    index = if columns[column][row] <= threshold { left } else { right };
                }
            }
        }
    }

    #[test]
    fn a_step_is_found_by_one_split() {
        let (columns, targets) = rows();
        for tree in grow_forest(&columns, &targets, 5) {
            let [Node::Split { column: 0, threshold, .. }, Node::Leaf { .. }, Node::Leaf { .. }] =
                tree.nodes[..]
            else {
                panic!("{tree:?}")
            };
            // Between the rows around the step, at 9.5, that the tree has seen.
            assert!((5.0..15.0).contains(&threshold), "{threshold}");
        }
    }

    #[test]
    fn neighbouring_floats_are_told_apart() {
        let (low, high) = (1.0f64, 1.0f64.next_up());
        assert!(low <= between(low, high) && between(low, high) < high);
    }
}
