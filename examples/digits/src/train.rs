//! Training a network on the digits with given settings, without knowing of trials.

use crate::data::{CLASSES, Digits, PIXELS};
use crate::mlp::{Activation, Mlp, Sgd};
use crate::rng::Rng;

/// Everything that is searched.
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

/// A training under way.
#[derive(Debug)]
pub struct Training {
    pub mlp: Mlp,
    sgd: Sgd,
    batch_size: usize,
    order: Vec<usize>,
    rng: Rng,
}

impl Training {
    /// Begins, with weights and an order of the images that follow from `seed`.
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

    /// Passes once over `digits`, in a new order.
    pub fn epoch(&mut self, digits: &Digits) {
        self.rng.shuffle(&mut self.order);
        for indices in self.order.chunks(self.batch_size) {
            let batch = digits.select(indices);
            let gradients = self.mlp.gradients(&batch.images, &batch.labels);
            self.sgd.step(&mut self.mlp, &gradients);
        }
    }

    /// The share of `digits` that the network recognises.
    pub fn accuracy(&self, digits: &Digits) -> f64 {
        self.mlp.accuracy(&digits.images, &digits.labels)
    }
}
