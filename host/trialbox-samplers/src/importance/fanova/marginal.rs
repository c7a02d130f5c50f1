//! The share of a tree's variance over the whole box that single parameters explain: exactly, cell by cell.

use super::forest::{Node, Tree};
use std::collections::BTreeMap;
use std::ops::Range;

/// The leaves of a tree: boxes, each with a value.
pub(super) struct Leaves<'a> {
    /// The ends of the box that the leaves fill, by column.
    bounds: &'a [(f64, f64)],
    leaves: Vec<Leaf>,
}

/// A box within which a tree predicts one value.
struct Leaf {
    /// Less the mean over the whole box.
    value: f64,
    ends: Vec<(f64, f64)>,
}

impl<'a> Leaves<'a> {
    /// Returns the leaves of a tree over a box, no side of which is empty.
    pub(super) fn of(tree: &Tree, bounds: &'a [(f64, f64)]) -> Self {
        let mut leaves = Leaves { bounds, leaves: Vec::with_capacity(tree.nodes.len() / 2 + 1) };
        leaves.collect(tree, 0, &mut bounds.to_vec());
        let mean: f64 =
            leaves.leaves.iter().map(|leaf| leaf.value * leaves.share(leaf, &(0..0))).sum();
        leaves.leaves.iter_mut().for_each(|leaf| leaf.value -= mean);
        leaves
    }

    fn collect(&mut self, tree: &Tree, index: usize, ends: &mut Vec<(f64, f64)>) {
        match tree.nodes[index] {
            Node::Leaf { value } => self.leaves.push(Leaf { value, ends: ends.clone() }),
            Node::Split { column, threshold, left, right, .. } => {
                let (low, high) = ends[column];
                ends[column] = (low, threshold);
                self.collect(tree, left, ends);
                ends[column] = (threshold, high);
                self.collect(tree, right, ends);
                ends[column] = (low, high);
            }
        }
    }

    /// Returns the part of the box that a leaf fills, in all columns but those left out.
    fn share(&self, leaf: &Leaf, left_out: &Range<usize>) -> f64 {
        let columns = leaf.ends.iter().zip(self.bounds).enumerate();
        columns
            .filter(|(column, _)| !left_out.contains(column))
            .map(|(_, ((from, to), (low, high)))| (to - from) / (high - low))
            .product()
    }

    /// Returns the variance of the tree's predictions over the box.
    pub(super) fn variance(&self) -> f64 {
        self.leaves.iter().map(|leaf| leaf.value * leaf.value * self.share(leaf, &(0..0))).sum()
    }

    /// Returns the variance of the marginal prediction, that is of the mean over all other columns: of one column, or
    /// of several that are the choices of a categorical parameter. 0 for no column.
    pub(super) fn marginal_variance(&self, columns: Range<usize>) -> f64 {
        match columns.len() {
            0 => 0.0,
            1 => self.variance_along(columns.start),
            _ => self.variance_of_choices(&columns),
        }
    }

    /// Returns the marginal is a step function, which changes where leaves begin and end.
    fn variance_along(&self, column: usize) -> f64 {
        let mut changes: Vec<(f64, f64)> = Vec::with_capacity(2 * self.leaves.len());
        for leaf in &self.leaves {
            let part = leaf.value * self.share(leaf, &(column..column + 1));
            let (from, to) = leaf.ends[column];
            changes.extend([(from, part), (to, -part)]);
        }
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut sum, mut marginal) = (0.0, 0.0);
        for pair in changes.windows(2) {
            marginal += pair[0].1;
            sum += marginal * marginal * (pair[1].0 - pair[0].0);
        }
        let (low, high) = self.bounds[column];
        sum / (high - low)
    }

    /// Returns the columns are 0 or 1 with even chances, independently of each other, as in Optuna, although a trial
    /// has just one 1 among them.
    ///
    /// The marginal is the sum of the leaves' parts over those whose condition on the columns holds. So the
    /// mean of its square is the sum, over all pairs of conditions, of the product of their parts times the
    /// probability that both hold, and no enumeration of the 2ᶜ cells is needed.
    fn variance_of_choices(&self, columns: &Range<usize>) -> f64 {
        let mut parts: BTreeMap<Condition, f64> = BTreeMap::new();
        for leaf in &self.leaves {
            let condition = Condition::of(&leaf.ends[columns.clone()]);
            *parts.entry(condition).or_default() += leaf.value * self.share(leaf, columns);
        }
        let parts: Vec<(Condition, f64)> = parts.into_iter().collect();
        let mut sum = 0.0;
        for (index, (condition, part)) in parts.iter().enumerate() {
            sum += part * part * condition.probability_with(condition);
            for (other, others_part) in &parts[..index] {
                sum += 2.0 * part * others_part * condition.probability_with(other);
            }
        }
        sum.max(0.0)
    }
}

/// The columns of 0 and 1 that must be 0, and those that must be 1: bits, in words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Condition {
    words: Vec<(u64, u64)>,
}

impl Condition {
    fn of(ends: &[(f64, f64)]) -> Self {
        let mut words = Vec::with_capacity(ends.len().div_ceil(64));
        for chunk in ends.chunks(64) {
            let (mut zeros, mut ones) = (0, 0);
            for (bit, (low, high)) in chunk.iter().enumerate() {
                zeros |= u64::from(*high < 1.0) << bit;
                ones |= u64::from(*low > 0.0) << bit;
            }
            words.push((zeros, ones));
        }
        Condition { words }
    }

    /// Returns the probability that both hold.
    fn probability_with(&self, other: &Condition) -> f64 {
        let mut n_fixed = 0;
        for ((zeros, ones), (other_zeros, other_ones)) in self.words.iter().zip(&other.words) {
            let (zeros, ones) = (zeros | other_zeros, ones | other_ones);
            if zeros & ones != 0 {
                return 0.0;
            }
            n_fixed += (zeros | ones).count_ones();
        }
        0.5f64.powi(n_fixed as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(column: usize, threshold: f64, left: usize, right: usize) -> Node {
        Node::Split { column, threshold, left, right, decrease: 0.0 }
    }

    fn leaf(value: f64) -> Node {
        Node::Leaf { value }
    }

    /// x in [0, 4], y in [0, 1]: 0 where x <= 1, else 2 where y <= ½, else 6. The mean is
    /// ¼·0 + ⅜·2 + ⅜·6 = 3, the variance ¼·9 + ⅜·1 + ⅜·9 = 6. The mean over y is 0 and 4, of variance
    /// ¼·9 + ¾·1 = 3; that over x is ¾·2 and ¾·6, of variance (½·(1½ − 3)² + ½·(4½ − 3)²) = 2¼.
    #[test]
    fn the_marginals_of_a_small_tree_are_those_computed_by_hand() {
        let nodes = vec![split(0, 1.0, 1, 2), leaf(0.0), split(1, 0.5, 3, 4), leaf(2.0), leaf(6.0)];
        let bounds = [(0.0, 4.0), (0.0, 1.0)];
        let leaves = Leaves::of(&Tree { nodes }, &bounds);
        assert_eq!(leaves.variance(), 6.0);
        assert_eq!(leaves.marginal_variance(0..1), 3.0);
        assert_eq!(leaves.marginal_variance(1..2), 2.25);
        assert_eq!(leaves.marginal_variance(2..2), 0.0);
    }

    /// f(x, y) = a(x) + b(y), each with a step: without interaction, the parts are the whole.
    #[test]
    fn the_parts_of_a_sum_add_up_to_its_variance() {
        let nodes = vec![
            split(0, -1.0, 1, 2),
            split(1, 0.25, 3, 4),
            split(1, 0.25, 5, 6),
            leaf(0.0),
            leaf(10.0),
            leaf(3.0),
            leaf(13.0),
        ];
        let bounds = [(-2.0, 3.0), (0.0, 1.0)];
        let leaves = Leaves::of(&Tree { nodes }, &bounds);
        let (x, y) = (leaves.marginal_variance(0..1), leaves.marginal_variance(1..2));
        assert!((x - 0.2 * 0.8 * 9.0).abs() < 1e-12, "{x}");
        assert!((y - 0.25 * 0.75 * 100.0).abs() < 1e-12, "{y}");
        assert!((leaves.variance() - x - y).abs() < 1e-12);
    }

    /// Three choices and a number, against the eight cells of the choices one by one.
    #[test]
    fn the_marginal_of_choices_is_that_of_all_their_cells() {
        let nodes = vec![
            split(0, 0.5, 1, 2),
            split(3, 2.0, 3, 4),
            leaf(7.0),
            split(1, 0.5, 5, 6),
            leaf(-1.0),
            split(2, 0.5, 7, 8),
            leaf(4.0),
            leaf(1.0),
            leaf(2.5),
        ];
        let tree = Tree { nodes };
        let bounds = [(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 8.0)];
        // A quarter of the number's range, up to 2, goes to the further choices.
        let marginals =
            [0u32, 1, 2, 3, 4, 5, 6, 7].map(|cell| match (cell & 1, cell & 2, cell & 4) {
                (1, _, _) => 7.0,
                (_, 2, _) => 0.25 * 4.0 - 0.75,
                (_, _, 4) => 0.25 * 2.5 - 0.75,
                _ => 0.25 * 1.0 - 0.75,
            });
        let mean = marginals.iter().sum::<f64>() / 8.0;
        let want = marginals.iter().map(|marginal| (marginal - mean).powi(2)).sum::<f64>() / 8.0;
        let found = Leaves::of(&tree, &bounds).marginal_variance(0..3);
        assert!((found - want).abs() < 1e-12, "{found}, want {want}");
    }
}
