//! A Gaussian process conditioned on outcomes: predictions with slopes, points that are still running, leave-one-out.

use super::cholesky::{Lower, TOGETHER, dot};
use super::fit::{self, Data};
use super::kernel::{Geometry, Hyper, Matrix, Scaled, matern52};

/// A Gaussian process with zero mean, conditioned on outcomes.
pub(super) struct Model {
    geometry: Geometry,
    hyper: Hyper,
    points: Scaled,
    /// The factor of the covariance, pending points included.
    factor: Lower,
    /// The covariance's inverse times the outcomes, of the finished points alone.
    alpha: Vec<f64>,
    /// The predictions at the finished points.
    fitted: Vec<f64>,
}

/// The prediction at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prediction {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// A prediction, and what its slopes are made of.
pub(super) struct Sloped {
    pub(super) prediction: Prediction,
    kernel_slopes: Vec<f64>,
    /// The covariance's inverse times the covariances with the point.
    beta: Vec<f64>,
    scaled: Vec<f64>,
}

impl Model {
    /// Conditions the process on outcomes. O(n³ / 6).
    pub(super) fn new(data: Data, hyper: &Hyper) -> Model {
        let mut hyper = hyper.clone();
        let points = Scaled::new(data.geometry, &hyper.weights, data.points);
        let factor = fit::factor(&Matrix::of(&points), &mut hyper);
        let alpha = factor.solve_transposed(&factor.solve(data.outcomes));
        let pairs = data.outcomes.iter().zip(&alpha);
        let fitted = pairs.map(|(outcome, alpha)| outcome - hyper.noise * alpha).collect();
        Model { geometry: data.geometry.clone(), hyper, points, factor, alpha, fitted }
    }

    /// Returns the predictions at the finished points.
    pub(super) fn fitted(&self) -> &[f64] {
        &self.fitted
    }

    /// Takes a pending point in, as if its outcome were the predicted one: the means stay, the deviations shrink.
    /// O(n² / 2). Returns the predicted outcome.
    ///
    /// Ginsbourger, Le Riche and Carraro 2010, "Kriging Is Well-Suited to Parallelize Optimization": the believer.
    pub(super) fn add_pending(&mut self, point: &[f64]) -> Prediction {
        let scaled = self.points.scale(point);
        let (covariances, mean) = self.covariances(&scaled);
        let mut row = self.factor.solve(&covariances);
        let variance = self.hyper.scale - dot(&row, &row);
        let floor = fit::MIN_NOISE * (1.0 + self.hyper.scale);
        row.push((variance.max(0.0) + self.hyper.noise.max(floor)).sqrt());
        self.factor.push_row(&row);
        self.points.push(point);
        Prediction { mean, deviation: deviation(variance, &self.hyper) }
    }

    /// Returns the covariances of a scaled point with all points, and the prediction's mean.
    fn covariances(&self, scaled: &[f64]) -> (Vec<f64>, f64) {
        let n = self.points.len();
        let mut covariances = Vec::with_capacity(n);
        for i in 0..n {
            let squared = self.points.squared_distance(scaled, self.points.row(i));
            covariances.push(self.hyper.scale * matern52(squared).0);
        }
        let mean = dot(&self.alpha, &covariances[..self.alpha.len()]);
        (covariances, mean)
    }

    /// Predicts at a point. O(n·features + n² / 2).
    pub(super) fn predict(&self, point: &[f64]) -> Prediction {
        let (covariances, mean) = self.covariances(&self.points.scale(point));
        let solved = self.factor.solve(&covariances);
        let variance = self.hyper.scale - dot(&solved, &solved);
        Prediction { mean, deviation: deviation(variance, &self.hyper) }
    }

    /// Predicts at many points. O(n·features + n² / 2) each, with a smaller factor than [`Self::predict`].
    pub(super) fn predict_all(&self, points: &[Vec<f64>]) -> Vec<Prediction> {
        let mut predictions = Vec::with_capacity(points.len());
        for chunk in points.chunks(TOGETHER) {
            let mut covariances = vec![[0.0; TOGETHER]; self.points.len()];
            let mut means = [0.0; TOGETHER];
            for (lane, point) in chunk.iter().enumerate() {
                let (column, mean) = self.covariances(&self.points.scale(point));
                means[lane] = mean;
                covariances.iter_mut().zip(column).for_each(|(row, value)| row[lane] = value);
            }
            let mut variances = [self.hyper.scale; TOGETHER];
            for row in self.factor.solve_together(&covariances) {
                for lane in 0..TOGETHER {
                    variances[lane] -= row[lane] * row[lane];
                }
            }
            for (mean, variance) in means.into_iter().zip(variances).take(chunk.len()) {
                predictions.push(Prediction { mean, deviation: deviation(variance, &self.hyper) });
            }
        }
        predictions
    }

    /// Predicts at a point, for [`Self::add_slopes`].
    pub(super) fn predict_sloped(&self, point: &[f64]) -> Sloped {
        let scaled = self.points.scale(point);
        let n = self.points.len();
        let (mut covariances, mut kernel_slopes) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for i in 0..n {
            let squared = self.points.squared_distance(&scaled, self.points.row(i));
            let (value, slope) = matern52(squared);
            covariances.push(self.hyper.scale * value);
            kernel_slopes.push(self.hyper.scale * slope);
        }
        let solved = self.factor.solve(&covariances);
        let mean = dot(&self.alpha, &covariances[..self.alpha.len()]);
        let variance = self.hyper.scale - dot(&solved, &solved);
        let prediction = Prediction { mean, deviation: deviation(variance, &self.hyper) };
        let beta = self.factor.solve_transposed(&solved);
        Sloped { prediction, kernel_slopes, beta, scaled }
    }

    /// Adds to `slopes`, one for each number of a point, `by_mean` times the slope of the mean and `by_deviation` times
    /// that of the deviation.
    pub(super) fn add_slopes(
        &self,
        sloped: &Sloped,
        by_mean: f64,
        by_deviation: f64,
        slopes: &mut [f64],
    ) {
        // The variance falls by 2·βᵢ for each unit of the covariance with point i.
        let by_covariance = -by_deviation / sloped.prediction.deviation;
        for i in 0..self.points.len() {
            let alpha = self.alpha.get(i).copied().unwrap_or(0.0);
            let factor = by_mean * alpha + by_covariance * sloped.beta[i];
            let factor = 2.0 * factor * sloped.kernel_slopes[i];
            let row = self.points.row(i);
            for (number, slope) in slopes.iter_mut().enumerate().take(self.geometry.n_numbers) {
                let difference = sloped.scaled[number] - row[number];
                *slope += factor * difference * self.points.root(number);
            }
        }
    }

    /// Returns the predictions at the finished points, each by all others. O(n³ / 3). To be called before pending
    /// points are taken in.
    ///
    /// Rasmussen and Williams 2006, eq. 5.12; the deviations include the noise.
    pub(super) fn leave_one_out(&self, outcomes: &[f64]) -> Vec<Prediction> {
        let inverse = self.factor.inverse_of_product();
        let mut predictions = Vec::with_capacity(outcomes.len());
        for (i, outcome) in outcomes.iter().enumerate() {
            let variance = 1.0 / inverse.row(i)[i];
            let mean = outcome - self.alpha[i] * variance;
            predictions.push(Prediction { mean, deviation: variance.sqrt() });
        }
        predictions
    }
}

/// Returns the deviation, which rounding must not take to 0 or below.
fn deviation(variance: f64, hyper: &Hyper) -> f64 {
    variance.max(1e-14 * hyper.scale).max(f64::MIN_POSITIVE).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> (Model, Vec<f64>) {
        let geometry = Geometry { n_numbers: 2, groups: vec![0, 1, 2], n_groups: 3 };
        let (mut points, mut outcomes) = (Vec::new(), Vec::new());
        for i in 0..11 {
            let at = |factor: f64| (f64::from(i) * factor).fract();
            points.extend([at(0.618), at(0.414), f64::from(i % 2)]);
            outcomes.push((5.0 * at(0.618)).sin() + at(0.414) + 0.3 * f64::from(i % 2));
        }
        let data = Data { geometry: &geometry, points: &points, outcomes: &outcomes };
        let hyper = Hyper { weights: vec![4.0, 1.0, 0.5], scale: 1.3, noise: 1e-3 };
        (Model::new(data, &hyper), outcomes)
    }

    #[test]
    fn slopes_are_those_of_the_predictions() {
        let (mut model, _) = model();
        model.add_pending(&[0.35, 0.65, 0.0]);
        let point = [0.3, 0.6, 1.0];
        let sloped = model.predict_sloped(&point);
        let plain = model.predict(&point);
        assert_eq!(sloped.prediction, plain);
        for (by_mean, by_deviation) in [(1.0, 0.0), (0.0, 1.0)] {
            let mut slopes = [0.0; 2];
            model.add_slopes(&sloped, by_mean, by_deviation, &mut slopes);
            for number in 0..2 {
                let at = |by: f64| {
                    let mut moved = point;
                    moved[number] += by;
                    let Prediction { mean, deviation } = model.predict(&moved);
                    by_mean * mean + by_deviation * deviation
                };
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slopes[number] - difference).abs() < 1e-6, "{slopes:?}, {difference}");
            }
        }
    }

    #[test]
    fn a_pending_point_leaves_the_means_and_takes_the_doubt_around_it() {
        let (mut model, _) = model();
        let (here, there) = ([0.3, 0.9, 1.0], [0.8, 0.1, 1.0]);
        let before = [model.predict(&here), model.predict(&there)];
        let believed = model.add_pending(&here);
        let after = [model.predict(&here), model.predict(&there)];
        assert_eq!(believed, before[0]);
        assert_eq!((before[0].mean, before[1].mean), (after[0].mean, after[1].mean));
        assert!(after[0].deviation < 0.6 * before[0].deviation);
    }

    #[test]
    fn many_points_are_predicted_as_each_alone() {
        let (model, _) = model();
        let points: Vec<Vec<f64>> = (0..11)
            .map(|i| vec![f64::from(i) * 0.09, 1.0 - f64::from(i) * 0.07, f64::from(i % 3)])
            .collect();
        let found = model.predict_all(&points);
        assert_eq!(found.len(), points.len());
        for (found, point) in found.iter().zip(&points) {
            let want = model.predict(point);
            assert!((found.mean - want.mean).abs() < 1e-12);
            assert!((found.deviation - want.deviation).abs() < 1e-9);
        }
    }

    #[test]
    fn leaving_one_out_is_a_model_without_it() {
        let (whole, outcomes) = model();
        let found = whole.leave_one_out(&outcomes)[10];
        let geometry = whole.geometry.clone();
        let mut points = Vec::new();
        for i in 0..11 {
            let at = |factor: f64| (f64::from(i) * factor).fract();
            points.extend([at(0.618), at(0.414), f64::from(i % 2)]);
        }
        let data = Data { geometry: &geometry, points: &points[..30], outcomes: &outcomes[..10] };
        let want = Model::new(data, &whole.hyper).predict(&points[30..]);
        assert!((found.mean - want.mean).abs() < 1e-10);
        let noisy = (want.deviation.powi(2) + whole.hyper.noise).sqrt();
        assert!((found.deviation - noisy).abs() < 1e-10);
    }
}
