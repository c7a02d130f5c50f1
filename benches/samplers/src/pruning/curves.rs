//! Problems whose value comes step by step, so that a bad trial can be seen to be bad before its end.

use crate::noise::{gaussian, mix};
use crate::problem::{ParamSpec, Point, choice, float, int, log_float, log_int};
use anyhow::{Result, bail};
use digits::data::{self, Digits};
use digits::mlp::Activation;
use digits::train::{Settings, Training};
use std::sync::{Arc, OnceLock};
use trialbox_core::StudyDirection;

/// A learning curve at every point.
pub(crate) struct CurveProblem {
    /// Unique among the problems.
    pub(crate) name: &'static str,
    /// The parameters in the order in which an objective asks for them.
    pub(crate) params: Vec<ParamSpec>,
    /// The direction of the value.
    pub(crate) direction: StudyDirection,
    /// The number of steps of a trial that is not pruned.
    pub(crate) n_steps: u32,
    /// Values that a study may be asked to reach, from easy to hard.
    pub(crate) targets: &'static [f64],
    /// Begins a training with a seed.
    pub(crate) begin: Box<Begin>,
}

/// A training at a point, with a seed.
pub(crate) type Begin = dyn Fn(&Point, u64) -> Curve;

/// Each call goes one step further and gives the value there.
pub(crate) type Curve = Box<dyn FnMut() -> f64>;

/// Returns the problems of these names, or all.
///
/// # Errors
/// Lists the problems there are.
pub(crate) fn named(names: &[String]) -> Result<Vec<CurveProblem>> {
    let all = || vec![digits_accuracy(), power_law()];
    if names == ["all"] {
        return Ok(all());
    }
    let known: Vec<&str> = all().iter().map(|problem| problem.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("unknown learning curve `{unknown}`: expected one of {}", known.join(", "));
    }
    Ok(all().into_iter().filter(|problem| names.iter().any(|name| name == problem.name)).collect())
}

/// Returns the example objective `digits`, its training and its search space.
fn digits_accuracy() -> CurveProblem {
    CurveProblem {
        name: "digits",
        params: vec![
            int("depth", 1, 3),
            log_int("width", 8, 128),
            choice("activation", &["relu", "tanh", "logistic"]),
            log_float("learning_rate", 1e-3, 1.0),
            float("momentum", 0.0, 0.95),
            log_float("l2", 1e-6, 1e-2),
            choice("batch_size", &["16", "32", "64", "128"]),
        ],
        direction: StudyDirection::Maximize,
        n_steps: digits::EPOCHS,
        targets: &[0.96, 0.97, 0.975, 0.98],
        begin: Box::new(|point, seed| {
            let images = images();
            let mut training = Training::new(&settings(point), images.0.labels.len(), seed);
            Box::new(move || {
                training.epoch(&images.0);
                training.accuracy(&images.1)
            })
        }),
    }
}

/// Returns the images for training and for validation.
fn images() -> Arc<(Digits, Digits)> {
    static IMAGES: OnceLock<Arc<(Digits, Digits)>> = OnceLock::new();
    let read = || {
        let text = include_str!("../../../../examples/digits/data/digits.csv");
        let (training, validation) = data::parse(text).expect("the example's own data").split();
        Arc::new((training.with_shifts(), validation))
    };
    Arc::clone(IMAGES.get_or_init(read))
}

fn settings(point: &Point) -> Settings {
    Settings {
        depth: point.number("depth") as usize,
        width: point.number("width") as usize,
        activation: match point.text("activation") {
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            _ => Activation::Logistic,
        },
        learning_rate: point.number("learning_rate"),
        momentum: point.number("momentum"),
        l2: point.number("l2"),
        batch_size: point.text("batch_size").parse().unwrap_or(32),
    }
}

/// Returns a loss that falls as a power of the step towards a floor, with noise: what curves of large trainings
/// look like (Hestness et al. 2017), at no cost. Fast learners are not always those that end best.
fn power_law() -> CurveProblem {
    CurveProblem {
        name: "power_law",
        params: vec![
            log_float("learning_rate", 1e-5, 1.0),
            log_float("l2", 1e-7, 1e-1),
            float("dropout", 0.0, 0.8),
            int("layers", 1, 8),
        ],
        direction: StudyDirection::Minimize,
        n_steps: 81,
        targets: &[0.3, 0.25, 0.2, 0.18],
        begin: Box::new(|point, seed| {
            let off = |value: f64, best: f64, width: f64| ((value - best) / width).powi(2);
            let rate = point.number("learning_rate").log10();
            let floor = 0.1
                + 0.3 * off(rate, -2.5, 2.0)
                + 0.1 * off(point.number("l2").log10(), -4.0, 3.0)
                + 0.2 * off(point.number("dropout"), 0.3, 0.5)
                + 0.1 * off(point.number("layers"), 4.0, 4.0);
            // A higher rate learns faster at first, many layers more slowly.
            let exponent = (1.0 + 0.1 * rate).max(0.1) / (1.0 + 0.05 * point.number("layers"));
            let mut step = 0u32;
            Box::new(move || {
                step += 1;
                let noise = 0.01 * gaussian(mix(seed, "power_law") ^ u64::from(step));
                floor + 0.9 * f64::from(step).powf(-exponent) + noise
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::Json;

    #[test]
    fn a_curve_of_the_power_law_falls_to_its_floor_and_follows_from_its_seed() {
        let problem = named(&["power_law".to_owned()]).expect("there is one").remove(0);
        let best: [(&str, Json); 4] = [
            ("learning_rate", 10f64.powf(-2.5).into()),
            ("l2", 1e-4.into()),
            ("dropout", 0.3.into()),
            ("layers", 4i64.into()),
        ];
        let point = Point(best.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let curve = |seed| -> Vec<f64> {
            let mut next = (problem.begin)(&point, seed);
            (0..problem.n_steps).map(|_| next()).collect()
        };
        assert_eq!(curve(1), curve(1));
        assert_ne!(curve(1), curve(2));
        assert!(curve(1)[0] > 0.9);
        assert!(curve(1)[80] < problem.targets[0]);
    }
}
