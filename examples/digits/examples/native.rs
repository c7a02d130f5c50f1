//! Trains with fixed settings outside the sandbox, for comparison:
//! `cargo run --release --example native [repetitions]`.
//!
//! Prints the shortest times of the training loop alone and of the complete objective.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use digits::mlp::Activation;
use digits::train::{Settings, Training};
use digits::{EPOCHS, data};
use trialbox_guest::{Choice, Stop, Trial};

fn main() -> Result<(), Box<dyn Error>> {
    let repetitions: usize = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let settings = Settings {
        depth: 2,
        width: 64,
        activation: Activation::Relu,
        learning_rate: 0.05,
        momentum: 0.9,
        l2: 1e-4,
        batch_size: 32,
    };
    println!("{settings:?}, {EPOCHS} epochs, least of {repetitions}");

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv");
    let (training_images, validation_images) = data::read(Path::new(file))?.split();
    let training_images = training_images.with_shifts();
    let (seconds, accuracy) = least(repetitions, || {
        let mut training = Training::new(&settings, training_images.labels.len(), 0);
        for _ in 0..EPOCHS {
            training.epoch(&training_images);
        }
        training.accuracy(&validation_images)
    });
    println!("training loop       {:.4} s, accuracy {accuracy:.4}", seconds.as_secs_f64());

    let (seconds, outcome) = least(repetitions, || digits::digits(&mut trial(&settings)));
    match outcome {
        Ok(accuracy) => {
            println!("complete objective  {:.4} s, accuracy {accuracy:.4}", seconds.as_secs_f64());
            Ok(())
        }
        Err(Stop::Pruned) => Err("pruned, although nothing asked for it".into()),
        Err(Stop::Failed(message)) => Err(message.into()),
    }
}

/// Returns the shortest time of `work` and its last result.
fn least<T>(repetitions: usize, mut work: impl FnMut() -> T) -> (Duration, T) {
    let timed = |work: &mut dyn FnMut() -> T| {
        let start = Instant::now();
        let result = work();
        (start.elapsed(), result)
    };
    let first = timed(&mut work);
    (1..repetitions).fold(first, |(least, _), _| {
        let (time, result) = timed(&mut work);
        (time.min(least), result)
    })
}

fn trial(settings: &Settings) -> Trial {
    Trial::fixed([
        ("depth", settings.depth.into()),
        ("width", settings.width.into()),
        ("activation", Choice::from(settings.activation)),
        ("learning_rate", settings.learning_rate.into()),
        ("momentum", settings.momentum.into()),
        ("l2", settings.l2.into()),
        ("batch_size", settings.batch_size.into()),
    ])
}
