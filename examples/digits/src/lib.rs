//! Recognises handwritten digits: a small but complete training with data, pruning, a seed and checkpoints.
//!
//! The objective is here. [`train`] holds the loop over batches, [`mlp`] the mathematics, [`data`] the
//! file format and [`progress`] the checkpoint.

pub mod data;
pub mod mlp;
pub mod progress;
pub mod rng;
pub mod train;

use std::path::Path;

use trialbox_guest::{Result, Trial, objective};

use mlp::Activation;
use progress::Progress;
use train::{Settings, Training};

/// The number of passes over the training images in each trial.
pub const EPOCHS: u32 = 15;

/// The data file: in the sandbox its granted path, in tests its path in the repository.
const DATA: &str = if cfg!(target_family = "wasm") {
    "/data/digits.csv"
} else {
    concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv")
};

/// Trains a multi-layer perceptron on 8 × 8 images of handwritten digits, and returns the share of
/// the validation images that it recognises.
#[objective(
    maximize = "accuracy",
    data(
        "/data/digits.csv",
        "1,797 handwritten digits of 8 x 8 pixels, the file data/digits.csv of this example",
        sha256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
    )
)]
pub fn digits(trial: &mut Trial) -> Result<f64> {
    let settings = suggest(trial);
    let (training_images, validation_images) = data::read(Path::new(DATA))?.split();
    let training_images = training_images.with_shifts();

    let mut training = Training::new(&settings, training_images.labels.len(), trial.seed());
    trial.set_user_attr("n_parameters", training.mlp.n_parameters());

    let mut progress = Progress::load(trial, &settings, &mut training)?;
    for (epoch, &accuracy) in (0..).zip(&progress.accuracies) {
        // A retry starts without reports. The pruner already let these steps pass, so it is not asked again.
        trial.report(accuracy, epoch);
    }
    for epoch in progress.epochs()..EPOCHS {
        training.epoch(&training_images);
        let accuracy = training.accuracy(&validation_images);
        trial.step(accuracy, epoch)?;
        progress.accuracies.push(accuracy);
        progress.save(&training)?;
    }
    Ok(progress.accuracies[EPOCHS as usize - 1])
}

/// Suggests all parameters, before any work that takes time or can fail.
fn suggest(trial: &mut Trial) -> Settings {
    Settings {
        depth: trial.suggest_int("depth", 1, 3) as usize,
        width: trial.suggest_int_log("width", 8, 128) as usize,
        activation: trial.suggest_categorical(
            "activation",
            &[Activation::Relu, Activation::Tanh, Activation::Logistic],
        ),
        learning_rate: trial.suggest_float_log("learning_rate", 1e-3, 1.0),
        momentum: trial.suggest_float("momentum", 0.0, 0.95),
        l2: trial.suggest_float_log("l2", 1e-6, 1e-2),
        batch_size: trial.suggest_categorical("batch_size", &[16, 32, 64, 128]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_guest::{Choice, Level, Stop};

    #[test]
    fn good_settings_recognise_nearly_all_digits() {
        let mut trial = good().with_seed(1);
        let accuracy = digits(&mut trial).unwrap();
        assert!(accuracy >= 0.97, "accuracy {accuracy}");
        assert_eq!(trial.reports().len(), EPOCHS as usize);
        assert!(trial.reports()[&4] > 0.9, "{:?}", trial.reports());
        let n_parameters = 64 * 64 + 64 + 64 * 10 + 10;
        assert_eq!(trial.user_attrs()["n_parameters"], n_parameters.into());
    }

    #[test]
    fn the_seed_decides_everything() {
        let [one, again, other] = [1, 1, 2].map(|seed| {
            let mut trial = good().with_seed(seed).prune_at(1);
            assert_eq!(digits(&mut trial), Err(Stop::Pruned));
            trial.reports().clone()
        });
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn a_training_that_is_interrupted_after_each_epoch_gives_the_bits_of_one_that_is_not() {
        let mut whole = good().with_seed(1);
        let accuracy = digits(&mut whole).unwrap();
        let dir = std::env::temp_dir().join(format!("digits-resumed-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for epoch in 1..EPOCHS {
            // The pruner stops the trial between the epoch and its checkpoint.
            let mut interrupted = good().with_seed(1).with_checkpoint(&dir).prune_at(epoch);
            assert_eq!(digits(&mut interrupted), Err(Stop::Pruned));
            assert_eq!(interrupted.reports().len() as u32, epoch + 1);
        }
        let mut resumed = good().with_seed(1).with_checkpoint(&dir);
        assert_eq!(digits(&mut resumed).unwrap().to_bits(), accuracy.to_bits());
        assert_eq!(resumed.reports(), whole.reports());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_other_settings_have_left_is_not_used() {
        let dir = std::env::temp_dir().join(format!("digits-other-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut first = good().with_checkpoint(&dir).prune_at(1);
        assert_eq!(digits(&mut first), Err(Stop::Pruned));
        let mut other = good_with(0.2).with_checkpoint(&dir).prune_at(1);
        assert_eq!(digits(&mut other), Err(Stop::Pruned));
        let (level, message) = &other.logs()[0];
        assert_eq!((*level, other.logs().len()), (Level::Warning, 1));
        assert!(message.contains("learning_rate: 0.1"), "{message}");
        let mut fresh = good_with(0.2).prune_at(1);
        assert_eq!(digits(&mut fresh), Err(Stop::Pruned));
        assert_eq!(other.reports(), fresh.reports());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    fn good() -> Trial {
        good_with(0.1)
    }

    fn good_with(learning_rate: f64) -> Trial {
        Trial::fixed([
            ("depth", 1.into()),
            ("width", 64.into()),
            ("activation", Choice::from(Activation::Relu)),
            ("learning_rate", learning_rate.into()),
            ("momentum", 0.9.into()),
            ("l2", 1e-4.into()),
            ("batch_size", 32.into()),
        ])
    }
}
