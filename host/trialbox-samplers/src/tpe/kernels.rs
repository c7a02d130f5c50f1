//! One parameter's kernels: their places, which are those of the observations, and their widths.

use super::TpeOptions;
use super::normal::{log_mass, truncated_quantile};
use trialbox_core::Distribution;
use trialbox_core::space::transform::{int_at, into_range};

/// The smallest width of a kernel without the magic clip, as in Optuna.
const EPSILON: f64 = 1e-12;

/// From this many kernels on, no kernel may be narrower than a hundredth of the range.
const MANY: usize = 99;

/// Observed internal values: one column a parameter, one row a trial.
pub(crate) type Columns = Vec<Vec<f64>>;

/// The kernels of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Dimension {
    Numeric(NumericKernels),
    Categorical(CategoricalKernels),
}

impl Dimension {
    /// Places a kernel at each observation, and the prior's.
    pub(super) fn new(
        distribution: &Distribution,
        observed: Vec<f64>,
        options: &TpeOptions,
    ) -> Self {
        if let Distribution::Categorical(categorical) = distribution {
            let n_choices = categorical.choices().len();
            return Dimension::Categorical(CategoricalKernels::new(n_choices, &observed, options));
        }
        let Some(axis) = Axis::of(distribution) else {
            unreachable!("only categorical distributions have no axis")
        };
        Dimension::Numeric(NumericKernels::new(axis, observed, options))
    }

    /// Returns the internal value below which kernel `k` has the share `q` of its mass.
    pub(super) fn quantile(&self, k: usize, q: f64) -> f64 {
        match self {
            Dimension::Numeric(kernels) => kernels.quantile(k, q),
            Dimension::Categorical(kernels) => kernels.quantile(k, q),
        }
    }
}

/// A numeric parameter in the coordinate its kernels live in: its logarithm if it is log-scaled, with half a
/// step of margin around a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    /// The ends of the coordinate's interval.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) is_log: bool,
    /// The distance of the grid's points, in the parameter's own unit.
    pub(crate) step: Option<f64>,
    is_int: bool,
    /// The ends of the range, in the parameter's own unit.
    first: f64,
    last: f64,
}

impl Axis {
    /// Returns the axis of a distribution; `None` for a categorical one.
    pub(crate) fn of(distribution: &Distribution) -> Option<Axis> {
        let (first, last, is_log, step) = match distribution {
            Distribution::Float(float) => (float.low(), float.high(), float.log(), float.step()),
            Distribution::Int(int) => {
                (int.low() as f64, int.high() as f64, int.log(), Some(int.step() as f64))
            }
            Distribution::Categorical(_) => return None,
        };
        let margin = 0.5 * step.unwrap_or(0.0);
        let (low, high) = (first - margin, last + margin);
        let (low, high) = if is_log { (low.ln(), high.ln()) } else { (low, high) };
        let is_int = matches!(distribution, Distribution::Int(_));
        Some(Axis { low, high, is_log, step, is_int, first, last })
    }

    /// Returns the coordinate of an internal value.
    pub(crate) fn place(&self, value: f64) -> f64 {
        if self.is_log { value.ln() } else { value }
    }

    /// Returns the internal value at a coordinate: in range and on the grid.
    pub(crate) fn value(&self, place: f64) -> f64 {
        let value = if self.is_log { place.exp() } else { place };
        let value = match self.step {
            Some(step) => {
                let k = ((value - self.first) / step).round_ties_even();
                if self.is_int { int_at(self.first, step, k) } else { self.first + k * step }
            }
            None => value,
        };
        into_range(value, self.first, self.last)
    }

    /// Returns whether all coordinates are on the axis.
    pub(crate) fn holds_all(&self, places: &[f64]) -> bool {
        // `&` and not `&&` or `all`: without branches, several are looked at in one instruction.
        places.iter().fold(true, |is, place| is & (*place >= self.low) & (*place <= self.high))
    }

    /// Returns the interval that a grid point stands for, as coordinates.
    pub(crate) fn cell(&self, value: f64, step: f64) -> (f64, f64) {
        (self.place(value - 0.5 * step), self.place(value + 0.5 * step))
    }
}

/// Normal kernels cut to the axis, one for each observation and a wide one for the prior, last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumericKernels {
    pub(crate) axis: Axis,
    /// Centres, coordinates of `axis`.
    pub(crate) mu: Vec<f64>,
    /// Widths, > 0.
    pub(crate) sigma: Vec<f64>,
}

impl NumericKernels {
    /// Creates kernels around observed internal values, in the order of the trials.
    ///
    /// A kernel's width is the larger distance to its neighbours on the axis, clipped (Bergstra et al. 2011,
    /// section 4.2; the clip is Optuna's). O(n), or O(n·log n) for fewer than 99 kernels.
    pub(crate) fn new(axis: Axis, observed: Vec<f64>, options: &TpeOptions) -> Self {
        let (low, high) = (axis.low, axis.high);
        let mut mu = observed;
        mu.iter_mut().for_each(|place| *place = axis.place(*place));
        let n_kernels = mu.len() + 1;
        let narrowest = if options.consider_magic_clip {
            (high - low) / (1.0 + n_kernels as f64).min(100.0)
        } else {
            EPSILON
        };
        let mut sigma = if options.consider_magic_clip && n_kernels >= MANY && axis.holds_all(&mu) {
            wide_gaps(&mu, &axis, options.consider_endpoints)
        } else {
            gaps(&mu, &axis, options.consider_endpoints)
        };
        // Not `clamp`, which wants its bounds in order: a range may be narrower than EPSILON.
        // Not 0 either, by which places are divided: the ends of an axis may be neighbouring floats, or the same.
        let widest = (high - low).max(f64::MIN_POSITIVE);
        let narrowest = narrowest.max(f64::MIN_POSITIVE);
        sigma.iter_mut().for_each(|sigma| *sigma = sigma.max(narrowest).min(widest));
        mu.push(middle(low, high));
        sigma.push(widest);
        NumericKernels { axis, mu, sigma }
    }

    /// Returns the internal value at the share `q` of kernel `k`'s mass.
    pub(crate) fn quantile(&self, k: usize, q: f64) -> f64 {
        let (mu, sigma) = (self.mu[k], self.sigma[k]);
        let (a, b) = ((self.axis.low - mu) / sigma, (self.axis.high - mu) / sigma);
        self.axis.value(mu + sigma * truncated_quantile(q, a, b))
    }

    /// Returns the logarithm of kernel `k`'s mass on the axis, by which its density is divided.
    pub(crate) fn log_mass(&self, k: usize) -> f64 {
        let (mu, sigma) = (self.mu[k], self.sigma[k]);
        let (a, b) = ((self.axis.low - mu) / sigma, (self.axis.high - mu) / sigma);
        // Beyond 8.3, 1 − Φ is below half an ulp of 1.
        if a < -8.3 && b > 8.3 { 0.0 } else { log_mass(a, b) }
    }
}

/// Returns the middle of two numbers, the sum of which may be no float.
fn middle(low: f64, high: f64) -> f64 {
    let middle = 0.5 * (low + high);
    if middle.is_finite() { middle } else { 0.5 * low + 0.5 * high }
}

/// Returns the larger distance to the neighbours of each place, in the order given.
fn gaps(mu: &[f64], axis: &Axis, consider_endpoints: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..mu.len()).collect();
    // Of equal places, the one of the earlier trial stands left.
    order.sort_by(|a, b| mu[*a].total_cmp(&mu[*b]));
    let mut sigma = vec![0.0; mu.len()];
    for (rank, index) in order.iter().enumerate() {
        let left = rank.checked_sub(1).map(|rank| mu[*index] - mu[order[rank]]);
        let right = order.get(rank + 1).map(|next| mu[*next] - mu[*index]);
        sigma[*index] = gap(mu[*index], left, right, axis, consider_endpoints);
    }
    sigma
}

/// Returns the gap of one place. The ends of the axis are neighbours of the outermost places only if the user wants
/// it, or if there is just one place.
fn gap(
    mu: f64,
    left: Option<f64>,
    right: Option<f64>,
    axis: &Axis,
    consider_endpoints: bool,
) -> f64 {
    match (left, right) {
        (Some(left), Some(right)) => left.max(right),
        (Some(inner), None) if !consider_endpoints => inner,
        (None, Some(inner)) if !consider_endpoints => inner,
        (left, right) => left.unwrap_or(mu - axis.low).max(right.unwrap_or(axis.high - mu)),
    }
}

/// Returns what [`gaps`] does, exact only where a gap is wider than a hundredth of the axis, which is all that
/// matters when narrower ones are clipped to that. No sorting: within a bucket every gap is too narrow, so that
/// only the ends of each bucket have neighbours.
fn wide_gaps(mu: &[f64], axis: &Axis, consider_endpoints: bool) -> Vec<f64> {
    const BUCKETS: usize = 128;
    let scale = BUCKETS as f64 / (axis.high - axis.low);
    // By way of a signed number, which the processor converts to in one instruction.
    let bucket = |mu: f64| (((mu - axis.low) * scale) as i32 as usize).min(BUCKETS - 1);
    // Of equal places, the first is the left end and the last the right one, as when sorting.
    let mut leftmost = [(f64::INFINITY, 0); BUCKETS];
    let mut rightmost = [(f64::NEG_INFINITY, 0); BUCKETS];
    for (index, place) in mu.iter().enumerate() {
        let bucket = bucket(*place);
        if *place < leftmost[bucket].0 {
            leftmost[bucket] = (*place, index);
        }
        if *place >= rightmost[bucket].0 {
            rightmost[bucket] = (*place, index);
        }
    }
    let ends = leftmost.into_iter().zip(rightmost).filter(|(left, _)| left.0 < f64::INFINITY);
    let ends: Vec<(usize, usize)> = ends.map(|(left, right)| (left.1, right.1)).collect();
    let mut sigma = vec![0.0; mu.len()];
    for (place, (first, last)) in ends.iter().enumerate() {
        let left = place.checked_sub(1).map(|before| mu[*first] - mu[ends[before].1]);
        let right = ends.get(place + 1).map(|next| mu[next.0] - mu[*last]);
        // Inside a bucket the other neighbour is there, and too near to matter.
        let inner = (first != last).then_some(0.0);
        sigma[*first] = gap(mu[*first], left, inner.or(right), axis, consider_endpoints);
        let at_last = gap(mu[*last], inner.or(left), right, axis, consider_endpoints);
        sigma[*last] = sigma[*last].max(at_last);
    }
    sigma
}

/// Kernels of a categorical parameter: each leans to the choice that its trial took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CategoricalKernels {
    n_choices: usize,
    /// The choice of each kernel but the prior, as an index.
    pub(crate) choice: Vec<u32>,
    /// The probability of a kernel's own choice, and of each of the others.
    own: f64,
    other: f64,
}

impl CategoricalKernels {
    /// Creates kernels around observed choice indices, in the order of the trials.
    pub(crate) fn new(n_choices: usize, observed: &[f64], options: &TpeOptions) -> Self {
        let share = options.prior_weight / (observed.len() + 1) as f64;
        let total = 1.0 + share * n_choices as f64;
        CategoricalKernels {
            n_choices,
            choice: observed.iter().map(|index| *index as u32).collect(),
            own: (1.0 + share) / total,
            other: share / total,
        }
    }

    /// Returns the choice at the share `q` of kernel `k`'s mass, its own choice being counted first.
    pub(crate) fn quantile(&self, k: usize, q: f64) -> f64 {
        let last = self.n_choices - 1;
        let even = |q: f64| ((q * self.n_choices as f64) as usize).min(last) as f64;
        let surplus = self.own - self.other;
        match self.choice.get(k) {
            None => even(q),
            Some(choice) if q < surplus => f64::from(*choice),
            Some(_) => even((q - surplus) / (1.0 - surplus)),
        }
    }

    /// Returns ln of the probability of a kernel's own choice, of another, and of any in the prior.
    pub(crate) fn log_probabilities(&self) -> (f64, f64, f64) {
        (self.own.ln(), self.other.ln(), -(self.n_choices as f64).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_find_the_gaps_that_sorting_finds() {
        let axis = Axis::of(&Distribution::float(0.0, 1.0, false, None).expect("a range"));
        let axis = axis.expect("numeric");
        // Crowded below 0.3, sparse above, with ties: multiples of the golden ratio, squared.
        let place =
            |i: usize| ((i as f64 * 0.618_033_988_749).fract().powi(4) * 200.0).round() / 200.0;
        let mu: Vec<f64> = (0..400).map(place).collect();
        for consider_endpoints in [false, true] {
            let exact = gaps(&mu, &axis, consider_endpoints);
            let quick = wide_gaps(&mu, &axis, consider_endpoints);
            assert!(exact.iter().filter(|gap| **gap > 0.01).count() > 10);
            for (exact, quick) in exact.iter().zip(&quick) {
                assert_eq!(exact.max(0.01), quick.max(0.01));
            }
        }
    }
}
