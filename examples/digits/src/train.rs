//! The training of a network on the digits with given settings, independent of trials.

use std::io;

use crate::data::{CLASSES, Digits, PIXELS};
use crate::mlp::{Activation, Mlp, Sgd};
use crate::rng::Rng;

/// The hyperparameters.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The number of hidden layers.
    pub depth: usize,
    /// The units of each hidden layer.
    pub width: usize,
    pub activation: Activation,
    pub learning_rate: f64,
    pub momentum: f64,
    pub l2: f64,
    pub batch_size: usize,
}

/// A training in progress.
#[derive(Debug)]
pub struct Training {
    pub mlp: Mlp,
    sgd: Sgd,
    batch_size: usize,
    order: Vec<usize>,
    rng: Rng,
}

impl Training {
    /// Creates a training whose weights and order of images follow from `seed`.
    pub fn new(settings: &Settings, n_images: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut units = vec![PIXELS];
        units.extend(vec![settings.width; settings.depth]);
        units.push(CLASSES);
        let mlp = Mlp::new(&units, settings.activation, &mut rng);
        let sgd = Sgd::new(
            &mlp,
            settings.learning_rate as f32,
            settings.momentum as f32,
            settings.l2 as f32,
        );
        Training { mlp, sgd, batch_size: settings.batch_size, order: (0..n_images).collect(), rng }
    }

    /// Returns everything that the rest of the training depends on, for [`restore`](Training::restore).
    pub fn state(&self) -> Vec<u8> {
        let mut state = self.rng.state().to_le_bytes().to_vec();
        state.extend(self.order.iter().flat_map(|&index| (index as u32).to_le_bytes()));
        let numbers = self.mlp.parameters().chain(self.sgd.velocities());
        state.extend(numbers.flat_map(|number| number.to_le_bytes()));
        state
    }

    /// Resumes from the state of a training with the same settings and number of images.
    pub fn restore(&mut self, mut state: &[u8]) -> io::Result<()> {
        self.rng = Rng::new(u64::from_le_bytes(take(&mut state)?));
        for index in &mut self.order {
            *index = u32::from_le_bytes(take(&mut state)?) as usize;
        }
        for number in self.mlp.parameters_mut().chain(self.sgd.velocities_mut()) {
            *number = f32::from_le_bytes(take(&mut state)?);
        }
        Ok(())
    }

    /// Passes once over `digits`, in a new order.
    pub fn epoch(&mut self, digits: &Digits) {
        self.rng.shuffle(&mut self.order);
        for indices in self.order.chunks(self.batch_size) {
            let batch = digits.select(indices);
            let gradients = self.mlp.gradients(&batch.images, &batch.labels);
            self.sgd.step(&mut self.mlp, &gradients);
        }
    }

    /// Returns the share of `digits` that the network recognises.
    pub fn accuracy(&self, digits: &Digits) -> f64 {
        self.mlp.accuracy(&digits.images, &digits.labels)
    }
}

/// Takes the next bytes from the front of `state`.
pub fn take<const N: usize>(state: &mut &[u8]) -> io::Result<[u8; N]> {
    let too_short = || io::Error::other("the state of the training is too short");
    let (bytes, rest) = state.split_first_chunk().ok_or_else(too_short)?;
    *state = rest;
    Ok(*bytes)
}
