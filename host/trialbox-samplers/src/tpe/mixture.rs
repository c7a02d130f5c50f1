//! The density of a Parzen estimator at some points, without touching the kernels that are too far to count.
//!
//! Every parameter can only lower a kernel's logarithm. So a kernel is dropped for a point as soon as it is
//! negligible beside the prior's kernel, which is wide and counts everywhere: after two or three parameters
//! few are left of thousands. The error is below 1e-15 of the density.

use super::kernels::{CategoricalKernels, Columns, Dimension, NumericKernels};
use super::normal::{LN_SQRT_2PI, log_mass};

/// A kernel this far, in logarithms, below the prior's adds less than half an ulp, even 10,000 of them.
const NEGLIGIBLE: f64 = 46.0;

/// An upper bound of what the cut to the axis raises a kernel by that is centred on the axis: the kernel has at
/// least the mass between its middle and one σ, 0.3413.
const MOST_NORMALISATION: f64 = 1.08;

/// The number of kernels that are looked at together: few enough for the innermost cache.
const BLOCK: usize = 128;

/// The number of parameters that are added to a whole block before the kernels that count are picked out.
const N_BLOCKWISE: usize = 2;

/// An estimator prepared for some points.
pub(super) struct Mixture<'a> {
    /// The normalisation of the kernels as far as it needs no Φ.
    constants: Vec<f64>,
    normalisation: Normalisation<'a>,
    /// Continuous parameters first, which are the cheapest.
    terms: Vec<Terms<'a>>,
}

impl<'a> Mixture<'a> {
    /// Prepares an estimator, given by the weights of its kernels and by the kernels of each parameter.
    pub(super) fn new(weights: &'a [f64], dimensions: &'a [Dimension], points: &Columns) -> Self {
        let mut constants = vec![0.0; weights.len()];
        let mut normalisation = Normalisation::new(weights);
        for dimension in dimensions {
            if let Dimension::Numeric(kernels) = dimension {
                add_scale(kernels, &mut constants);
                normalisation.include(kernels, &mut constants);
            }
        }
        let both = dimensions.iter().zip(points);
        let mut terms: Vec<Terms> = both.map(|(it, points)| Terms::new(it, points)).collect();
        terms.sort_by_key(Terms::cost);
        Mixture { constants, normalisation, terms }
    }

    /// Returns ln of the density at each of the `n` points.
    pub(super) fn log_pdf(mut self, n: usize) -> Vec<f64> {
        let floors: Vec<f64> = (0..n)
            .map(|point| self.log_of_prior(point) - NEGLIGIBLE - self.normalisation.most)
            .collect();
        let mut sums = vec![LogSum::default(); n];
        let mut near = Vec::with_capacity(BLOCK);
        for start in (0..self.constants.len()).step_by(BLOCK) {
            self.terms.iter_mut().take(N_BLOCKWISE).for_each(|terms| terms.enter_block(start));
            for (point, sum) in sums.iter_mut().enumerate() {
                self.pick_near(start, point, floors[point], &mut near);
                near.iter().for_each(|(_, log)| sum.add(*log));
            }
        }
        sums.into_iter().map(LogSum::finish).collect()
    }

    /// Returns the logarithm of the prior's kernel at a point; −∞ if it has no weight.
    fn log_of_prior(&mut self, point: usize) -> f64 {
        let prior = self.constants.len() - 1;
        let terms: f64 = self.terms.iter_mut().map(|terms| terms.at(prior, point)).sum();
        self.constants[prior] + terms - self.normalisation.at(prior)
    }

    /// The kernels of a block that are above `floor` at a point, with their logarithms.
    fn pick_near(&mut self, start: usize, point: usize, floor: f64, near: &mut Vec<(usize, f64)>) {
        let mut block = [0.0; BLOCK];
        let length = BLOCK.min(self.constants.len() - start);
        let block = &mut block[..length];
        block.copy_from_slice(&self.constants[start..start + length]);
        let n_blockwise = self.terms.len().min(N_BLOCKWISE);
        let (blockwise, others) = self.terms.split_at_mut(n_blockwise);
        blockwise.iter_mut().for_each(|terms| terms.add_to(block, start, point));
        near.clear();
        let logs = block.iter().enumerate().map(|(k, log)| (start + k, *log));
        near.extend(logs.filter(|(_, log)| *log >= floor));
        for terms in others {
            if near.is_empty() {
                return;
            }
            near.retain_mut(|(k, log)| {
                *log += terms.at(*k, point);
                *log >= floor
            });
        }
        near.iter_mut().for_each(|(k, log)| *log -= self.normalisation.at(*k));
    }
}

/// Divides the kernels of a continuous parameter by √(2π)·σ.
fn add_scale(kernels: &NumericKernels, constants: &mut [f64]) {
    if kernels.axis.step.is_some() {
        return;
    }
    let (mut last_sigma, mut log_scale) = (f64::NAN, 0.0);
    for (constant, sigma) in constants.iter_mut().zip(&kernels.sigma) {
        // Most kernels of a long history have the same width.
        if *sigma != last_sigma {
            last_sigma = *sigma;
            log_scale = last_sigma.ln() + LN_SQRT_2PI;
        }
        *constant -= log_scale;
    }
}

/// The amount that each kernel's logarithm is lowered by, computed when it is needed: ln of the mass that it has
/// on the axes, less ln of its weight.
struct Normalisation<'a> {
    dimensions: Vec<&'a NumericKernels>,
    weights: &'a [f64],
    known: Vec<Memo>,
    /// An upper bound of what it raises a kernel by.
    most: f64,
}

impl<'a> Normalisation<'a> {
    fn new(weights: &'a [f64]) -> Self {
        let most = weights.iter().copied().fold(0.0, f64::max).ln();
        Normalisation {
            dimensions: Vec::new(),
            weights,
            known: vec![Memo::EMPTY; weights.len()],
            most,
        }
    }

    fn include(&mut self, kernels: &'a NumericKernels, constants: &mut [f64]) {
        if kernels.axis.holds_all(&kernels.mu) {
            self.dimensions.push(kernels);
            self.most += MOST_NORMALISATION;
        } else {
            // A kernel centred outside of the range, which was another one, is raised without bound.
            let kernels = (0..constants.len()).map(|k| kernels.log_mass(k));
            constants.iter_mut().zip(kernels).for_each(|(constant, log)| *constant -= log);
        }
    }

    fn at(&mut self, k: usize) -> f64 {
        self.known[k].get_or_compute(|| {
            let masses: f64 = self.dimensions.iter().map(|kernels| kernels.log_mass(k)).sum();
            masses - self.weights[k].ln()
        })
    }
}

/// A number that is computed when it is first needed.
///
/// NaN stands for "not yet". An `Option` would take twice the room in tables of which the innermost loop reads an
/// entry a kernel; a result that is NaN itself is computed again, and nothing worse.
#[derive(Clone, Copy)]
struct Memo(f64);

impl Memo {
    const EMPTY: Memo = Memo(f64::NAN);

    fn get_or_compute(&mut self, compute: impl FnOnce() -> f64) -> f64 {
        if self.0.is_nan() {
            self.0 = compute();
        }
        self.0
    }
}

/// The terms that one parameter adds to the logarithm of each kernel at each point: never more than 0.
enum Terms<'a> {
    Continuous {
        points: Vec<f64>,
        kernels: &'a NumericKernels,
        /// 1/σ of the block's kernels.
        inverse_sigma: Vec<f64>,
    },
    Categorical {
        points: Vec<u32>,
        kernels: &'a CategoricalKernels,
        own: f64,
        other: f64,
        prior: f64,
    },
    Discrete(Cells<'a>),
}

impl<'a> Terms<'a> {
    fn new(dimension: &'a Dimension, points: &[f64]) -> Self {
        match dimension {
            Dimension::Categorical(kernels) => {
                let (own, other, prior) = kernels.log_probabilities();
                let points = points.iter().map(|point| *point as u32).collect();
                Terms::Categorical { points, kernels, own, other, prior }
            }
            Dimension::Numeric(kernels) => match kernels.axis.step {
                None => Terms::Continuous {
                    points: points.iter().map(|x| kernels.axis.place(*x)).collect(),
                    kernels,
                    inverse_sigma: Vec::with_capacity(BLOCK),
                },
                Some(step) => Terms::Discrete(Cells::new(kernels, points, step)),
            },
        }
    }

    /// Returns the place in the order of evaluation: cheap terms come first.
    fn cost(&self) -> u8 {
        match self {
            Terms::Continuous { .. } => 0,
            Terms::Categorical { .. } => 1,
            Terms::Discrete(_) => 2,
        }
    }

    /// Returns the term of one kernel at one point.
    fn at(&mut self, k: usize, point: usize) -> f64 {
        match self {
            Terms::Continuous { points, kernels, .. } => {
                let z = (points[point] - kernels.mu[k]) * (1.0 / kernels.sigma[k]);
                -0.5 * z * z
            }
            Terms::Categorical { points, kernels, own, other, prior } => {
                match kernels.choice.get(k) {
                    None => *prior,
                    Some(choice) if *choice == points[point] => *own,
                    Some(_) => *other,
                }
            }
            Terms::Discrete(cells) => cells.at(k, point),
        }
    }

    /// Prepares for the block of kernels from `start` on.
    fn enter_block(&mut self, start: usize) {
        if let Terms::Continuous { kernels, inverse_sigma, .. } = self {
            inverse_sigma.clear();
            let block = kernels.sigma[start..].iter().take(BLOCK);
            inverse_sigma.extend(block.map(|sigma| 1.0 / sigma));
        }
    }

    /// Adds the terms of the kernels of the block from `start` on, which was entered, at one point.
    fn add_to(&mut self, block: &mut [f64], start: usize, point: usize) {
        match self {
            Terms::Continuous { points, kernels, inverse_sigma } => {
                let x = points[point];
                let kernels = kernels.mu[start..].iter().zip(inverse_sigma);
                for (sum, (mu, inverse)) in block.iter_mut().zip(kernels) {
                    let z = (x - mu) * *inverse;
                    *sum -= 0.5 * z * z;
                }
            }
            Terms::Categorical { .. } | Terms::Discrete(_) => {
                for (index, sum) in block.iter_mut().enumerate() {
                    *sum += self.at(start + index, point);
                }
            }
        }
    }
}

/// The cells that the points of a discrete parameter stand for.
struct Cells<'a> {
    kernels: &'a NumericKernels,
    /// The cell of each point.
    places: Vec<usize>,
    /// The ends of each cell, as coordinates.
    ends: Vec<(f64, f64)>,
    /// The number of masses that were computed before they were remembered.
    n_computed: usize,
    remembered: Option<Remembered>,
}

/// Masses of kernels in cells. Setting it up costs some operations a kernel, which is too much for the few
/// kernels that are asked for when other parameters have ruled out the rest.
struct Remembered {
    distinct: DistinctKernels,
    /// ln of the mass of each distinct kernel in each cell, a row a cell.
    log_masses: Vec<Memo>,
}

impl<'a> Cells<'a> {
    /// Computing a mass takes about as long as setting up the memory of them for so many kernels.
    const WORTH: usize = 8;

    fn new(kernels: &'a NumericKernels, points: &[f64], step: f64) -> Self {
        let (mut values, mut places) = (Vec::<f64>::new(), Vec::with_capacity(points.len()));
        for point in points {
            let place = values.iter().position(|known| known == point).unwrap_or(values.len());
            if place == values.len() {
                values.push(*point);
            }
            places.push(place);
        }
        let ends = values.iter().map(|value| kernels.axis.cell(*value, step)).collect();
        Cells { kernels, places, ends, n_computed: 0, remembered: None }
    }

    fn at(&mut self, k: usize, point: usize) -> f64 {
        let cell = self.places[point];
        let (kernels, ends) = (self.kernels, self.ends[cell]);
        if self.remembered.is_none() && self.n_computed * Self::WORTH < kernels.mu.len() {
            self.n_computed += 1;
            return log_mass_in(ends, kernels, k);
        }
        let n_cells = self.ends.len();
        let remembered = self.remembered.get_or_insert_with(|| Remembered::new(kernels, n_cells));
        remembered.place(k, cell).get_or_compute(|| log_mass_in(ends, kernels, k))
    }
}

impl Remembered {
    fn new(kernels: &NumericKernels, n_cells: usize) -> Self {
        let distinct = DistinctKernels::of(kernels);
        let log_masses = vec![Memo::EMPTY; n_cells * distinct.firsts.len()];
        Remembered { distinct, log_masses }
    }

    fn place(&mut self, k: usize, cell: usize) -> &mut Memo {
        let kernel = self.distinct.places[k] as usize;
        &mut self.log_masses[cell * self.distinct.firsts.len() + kernel]
    }
}

/// Returns ln of the mass of kernel `k` between two coordinates, before the cut to the axis.
fn log_mass_in((left, right): (f64, f64), kernels: &NumericKernels, k: usize) -> f64 {
    let (mu, inverse) = (kernels.mu[k], 1.0 / kernels.sigma[k]);
    log_mass((left - mu) * inverse, (right - mu) * inverse)
}

/// Kernels of a discrete parameter repeat: few values, and few widths a value.
struct DistinctKernels {
    /// The first of each.
    firsts: Vec<u32>,
    /// The place of every kernel among them.
    places: Vec<u32>,
}

impl DistinctKernels {
    /// Finds equal kernels by a hash table of places, linearly probed. O(n).
    fn of(kernels: &NumericKernels) -> Self {
        const EMPTY: u32 = u32::MAX;
        let kernel = |k: usize| (kernels.mu[k], kernels.sigma[k]);
        let size = (kernels.mu.len() + kernels.mu.len() / 4 + 1).next_power_of_two();
        let mut table = vec![EMPTY; size];
        let mut firsts: Vec<u32> = Vec::new();
        let place = |k: usize| {
            // Fibonacci hashing (Knuth, volume 3, section 6.4): the upper bits of a product with 2⁶⁴/φ.
            let key = kernel(k).0.to_bits() ^ kernel(k).1.to_bits().rotate_left(32);
            let mut slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & (size - 1);
            while table[slot] != EMPTY && kernel(firsts[table[slot] as usize] as usize) != kernel(k)
            {
                slot = (slot + 1) & (size - 1);
            }
            if table[slot] == EMPTY {
                table[slot] = firsts.len() as u32;
                firsts.push(k as u32);
            }
            table[slot]
        };
        let places = (0..kernels.mu.len()).map(place).collect();
        DistinctKernels { firsts, places }
    }
}

/// ln Σ exp of logarithms that come one by one.
#[derive(Clone, Copy)]
struct LogSum {
    largest: f64,
    /// In units of exp(largest).
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        LogSum { largest: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, log: f64) {
        if log > self.largest {
            self.sum = self.sum * (self.largest - log).exp() + 1.0;
            self.largest = log;
        } else if log > self.largest - NEGLIGIBLE {
            self.sum += (log - self.largest).exp();
        }
    }

    /// Returns the logarithm of the sum: −∞ for an empty one.
    fn finish(self) -> f64 {
        self.largest + self.sum.ln()
    }
}
