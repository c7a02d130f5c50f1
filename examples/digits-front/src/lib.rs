//! Recognises handwritten digits with as few weights as possible: two conflicting objectives and a
//! constraint.
//!
//! Data, network and training are shared with the example `digits`.

#[path = "../../digits/src/data.rs"]
pub mod data;
#[path = "../../digits/src/mlp.rs"]
pub mod mlp;
#[path = "../../digits/src/rng.rs"]
pub mod rng;
#[path = "../../digits/src/train.rs"]
pub mod train;

use std::path::Path;

use trialbox_guest::{Result, Trial, objective};

use mlp::Activation;
use train::{Settings, Training};

/// The number of passes over the training images in each trial.
pub const EPOCHS: u32 = 15;

/// The constraint: a network below this accuracy is useless, however small it is.
const LEAST_ACCURACY: f64 = 0.8;

/// The data file: in the sandbox its granted path, in tests its path in the repository.
const DATA: &str = if cfg!(target_family = "wasm") {
    "/data/digits.csv"
} else {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../digits/data/digits.csv")
};

/// Trains a small perceptron on 8 × 8 images of handwritten digits, and returns the share of the
/// validation images that it recognises and how many weights and biases it has.
#[objective(
    maximize = "accuracy",
    minimize = "n_parameters",
    data(
        "/data/digits.csv",
        "1,797 handwritten digits of 8 x 8 pixels, the file data/digits.csv of the example digits",
        sha256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
    )
)]
pub fn digits_front(trial: &mut Trial) -> Result<(f64, f64)> {
    let settings = suggest(trial);
    let (training_images, validation_images) = data::read(Path::new(DATA))?.split();
    let mut training = Training::new(&settings, training_images.labels.len(), trial.seed());
    for _ in 0..EPOCHS {
        training.epoch(&training_images);
    }
    let accuracy = training.accuracy(&validation_images);
    // A constraint is satisfied if its value is at most 0.
    trial.set_constraint("missing_accuracy", LEAST_ACCURACY - accuracy);
    Ok((accuracy, training.mlp.n_parameters() as f64))
}

/// Suggests all parameters. The width alone decides the size of the network.
fn suggest(trial: &mut Trial) -> Settings {
    Settings {
        depth: 1,
        width: trial.suggest_int_log("width", 2, 64) as usize,
        activation: trial.suggest_categorical("activation", &[Activation::Relu, Activation::Tanh]),
        learning_rate: trial.suggest_float_log("learning_rate", 1e-2, 0.5),
        momentum: trial.suggest_float("momentum", 0.0, 0.95),
        l2: 1e-5,
        batch_size: 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_guest::Choice;

    #[test]
    fn a_larger_network_recognises_more() {
        let results = [2, 8, 64].map(|width| {
            let mut trial = with_width(width);
            let (accuracy, n_parameters) = digits_front(&mut trial).unwrap();
            let missing = trial.constraints()["missing_accuracy"];
            assert_eq!(missing, LEAST_ACCURACY - accuracy);
            assert_eq!(n_parameters, (65 * width + (width + 1) * 10) as f64);
            (accuracy, missing <= 0.0)
        });
        let accuracies = results.map(|(accuracy, _)| accuracy);
        assert!(accuracies.is_sorted(), "{accuracies:?}");
        assert!(accuracies[0] + 0.1 < accuracies[2], "{accuracies:?}");
        assert_eq!(results.map(|(_, is_feasible)| is_feasible), [false, true, true]);
    }

    fn with_width(width: i64) -> Trial {
        Trial::fixed([
            ("width", width.into()),
            ("activation", Choice::from(Activation::Tanh)),
            ("learning_rate", 0.1.into()),
            ("momentum", 0.8.into()),
        ])
        .with_seed(1)
    }
}
