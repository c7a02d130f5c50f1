//! The values that were tried, as a tree: a level for each parameter in the order of suggestion, a branch for
//! each of its values.

use super::values;
use std::collections::BTreeMap;
use trialbox_core::seam::rng::{TrialRng, below, unit};
use trialbox_core::{Distribution, Param, TrialState};

/// A prefix of values.
#[derive(Debug, Default)]
pub(super) struct Node {
    next: Next,
    /// A RUNNING trial has not asked further than this.
    is_running: bool,
}

/// The parameter that comes next, as far as it is known.
#[derive(Debug, Default)]
enum Next {
    /// Nothing.
    #[default]
    Unknown,
    /// There is none: a trial ended here.
    End,
    /// It has so many values that they are never exhausted.
    Endless,
    /// It has these values.
    Values(Branches),
}

#[derive(Debug)]
struct Branches {
    name: String,
    distribution: Distribution,
    n_values: u64,
    /// By the value's place; the others are unknown.
    tried: BTreeMap<u64, Node>,
}

impl Node {
    /// Returns a node whose next parameter is known.
    pub(super) fn with_next(name: &str, distribution: &Distribution) -> Self {
        let mut node = Node::default();
        node.descend_to(name, distribution);
        node
    }

    /// Adds a trial, given its parameters from here on. Where it contradicts what earlier trials said (another
    /// parameter, another range, a value off the grid) it is left out, as trials before a change of the
    /// objective must be.
    pub(super) fn add<'a>(
        &mut self,
        params: impl Iterator<Item = &'a (String, Param)>,
        state: TrialState,
    ) {
        let mut node = self;
        for (name, param) in params {
            match node.descend(name, param) {
                Some(next) => node = next,
                None => return,
            }
        }
        if !state.is_finished() {
            node.is_running = true;
        } else if matches!(node.next, Next::Unknown) {
            // Where other trials went further, this one broke before it asked for more.
            node.next = Next::End;
        }
    }

    fn descend(&mut self, name: &str, param: &Param) -> Option<&mut Node> {
        let branches = self.descend_to(name, &param.distribution)?;
        let place = values::place(&branches.distribution, param.internal)?;
        Some(branches.tried.entry(place).or_default())
    }

    /// Returns the branches of the next parameter if it is this one.
    fn descend_to(&mut self, name: &str, distribution: &Distribution) -> Option<&mut Branches> {
        if matches!(self.next, Next::Unknown | Next::End) {
            self.next = match values::count(distribution) {
                None => Next::Endless,
                Some(n_values) => Next::Values(Branches {
                    name: name.to_owned(),
                    distribution: distribution.clone(),
                    n_values,
                    tried: BTreeMap::new(),
                }),
            };
        }
        match &mut self.next {
            Next::Values(branches)
                if branches.name == name && branches.distribution.is_same(distribution) =>
            {
                Some(branches)
            }
            _ => None,
        }
    }

    /// Returns the number of prefixes below whose continuation is unknown, at least. What is RUNNING counts if
    /// `with_running`.
    pub(super) fn n_open(&self, with_running: bool) -> f64 {
        match &self.next {
            Next::Unknown => f64::from(u8::from(with_running || !self.is_running)),
            Next::End => 0.0,
            Next::Endless => 1.0,
            Next::Values(branches) => branches.n_untried() + branches.n_open_tried(with_running),
        }
    }

    /// Draws a value for the next parameter, one with something open below if there is any: half of the time each
    /// such value is equally likely, half of the time as likely as it has open prefixes. Values at which a
    /// RUNNING trial stands are left to it while there are others.
    pub(super) fn draw(&self, with_running: bool, rng: &mut TrialRng) -> Option<f64> {
        let Next::Values(branches) = &self.next else { return None };
        Some(values::at(&branches.distribution, branches.draw(with_running, rng)))
    }
}

impl Branches {
    fn n_untried(&self) -> f64 {
        (self.n_values - self.tried.len() as u64) as f64
    }

    fn n_open_tried(&self, with_running: bool) -> f64 {
        self.tried.values().map(|node| node.n_open(with_running)).sum()
    }

    fn draw(&self, with_running: bool, rng: &mut TrialRng) -> u64 {
        let untried = self.n_untried();
        let mut open: Vec<(u64, f64, bool)> = self
            .tried
            .iter()
            .map(|(place, node)| (*place, node.n_open(with_running), node.is_running))
            .filter(|(_, n_open, _)| *n_open > 0.0)
            .collect();
        let n_open = untried + open.iter().map(|(_, n_open, _)| n_open).sum::<f64>();
        let n_values = untried + open.len() as f64;
        if n_values == 0.0 {
            return below(self.n_values, rng);
        }
        if untried > 0.0 || open.iter().any(|(_, _, is_running)| !is_running) {
            open.retain(|(_, _, is_running)| !is_running);
        }
        let weight = |count: f64| 0.5 * count / n_open + 0.5 / n_values;
        let untried_weight = untried * weight(1.0);
        let total = untried_weight + open.iter().map(|(_, count, _)| weight(*count)).sum::<f64>();
        let mut left = unit(rng) * total - untried_weight;
        if left < 0.0 {
            return self.untried(below(untried as u64, rng));
        }
        for (place, count, _) in &open {
            left -= weight(*count);
            if left < 0.0 {
                return *place;
            }
        }
        open.last().map_or_else(|| self.untried(0), |(place, _, _)| *place)
    }

    /// Returns the place of the `index`-th untried value.
    fn untried(&self, index: u64) -> u64 {
        self.tried
            .keys()
            .fold(index, |place, tried| if *tried <= place { place + 1 } else { place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::TrialNumber;
    use trialbox_core::seam::rng::trial_rng;

    fn int(high: i64) -> Distribution {
        Distribution::int(0, high, false, 1).expect("a range")
    }

    fn add(tree: &mut Node, params: &[(&str, i64, f64)]) {
        let mut named: Vec<(String, Param)> = Vec::new();
        for (name, high, internal) in params {
            let param = Param { distribution: int(*high), internal: *internal };
            named.push(((*name).to_owned(), param));
        }
        tree.add(named.iter(), TrialState::Complete);
    }

    /// Of four values one is exhausted, one untried, one has one open prefix and one has seven.
    #[test]
    fn a_branch_is_drawn_half_for_itself_and_half_for_what_is_open_below() {
        let mut tree = Node::with_next("a", &int(3));
        add(&mut tree, &[("a", 3, 0.0), ("b", 7, 0.0)]);
        add(&mut tree, &[("a", 3, 1.0), ("b", 1, 0.0)]);
        add(&mut tree, &[("a", 3, 2.0)]);
        let (mut rng, mut counts) = (trial_rng(1, TrialNumber(0)), [0u32; 4]);
        const N: u32 = 20_000;
        for _ in 0..N {
            counts[tree.draw(false, &mut rng).expect("a value") as usize] += 1;
        }
        // An equal share of one half, and of the other half 7, 1, 0 and 1 of nine.
        let probabilities = [7.0, 1.0, 0.0, 1.0].map(|n_open| match n_open {
            0.0 => 0.0,
            n_open => 0.5 * n_open / 9.0 + 0.5 / 3.0,
        });
        for (count, p) in counts.into_iter().zip(probabilities) {
            let deviation = (f64::from(N) * p * (1.0 - p)).sqrt();
            let distance = (f64::from(count) - f64::from(N) * p).abs();
            assert!(distance <= 4.0 * deviation, "{counts:?} for {probabilities:?}");
        }
    }

    #[test]
    fn a_trial_descends_by_the_name_and_the_distribution_together() {
        let mut tree = Node::with_next("a", &int(1));
        add(&mut tree, &[("b", 1, 0.0)]);
        add(&mut tree, &[("a", 2, 0.0)]);
        assert_eq!(tree.n_open(false), 2.0);
        add(&mut tree, &[("a", 1, 0.0)]);
        assert_eq!(tree.n_open(false), 1.0);
    }
}
