//! A multi-layer perceptron that classifies, and its training by gradient descent with momentum.
//!
//! Matrices are slices, row-major, with one row for each image of a batch. Nearly all time is spent in
//! [`add_product`]. Its inner loop runs along rows of both operands, so that the compiler can use vector
//! instructions without changing the order of any sum.

use trialbox_guest::Choice;

use crate::rng::Rng;

/// The function that each hidden unit applies to its weighted sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Relu,
    Tanh,
    Logistic,
}

/// Weights and biases between two layers of units. Gradients and velocities have this shape too.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    outputs: usize,
    /// Inputs × outputs.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

/// The network.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    activation: Activation,
    layers: Vec<Layer>,
}

/// Stochastic gradient descent with momentum and weight decay.
#[derive(Debug)]
pub struct Sgd {
    pub learning_rate: f32,
    /// The share of the last step's velocity that remains, from 0 up to 1.
    pub momentum: f32,
    /// The loss grows by `l2 / 2` times the sum of the squared weights.
    pub l2: f32,
    velocity: Vec<Layer>,
}

impl Mlp {
    /// Creates a network with random weights. `units` holds the number of inputs, of units in each hidden
    /// layer, and of outputs, one for each class.
    pub fn new(units: &[usize], activation: Activation, rng: &mut Rng) -> Self {
        let layers =
            units.windows(2).map(|pair| Layer::random(pair[0], pair[1], activation, rng)).collect();
        Mlp { activation, layers }
    }

    /// Returns the number of weights and biases.
    pub fn n_parameters(&self) -> usize {
        self.parameters().count()
    }

    /// Returns the weights and biases.
    pub fn parameters(&self) -> impl Iterator<Item = &f32> {
        parameters(&self.layers)
    }

    /// Returns the weights and biases, mutable.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        parameters_mut(&mut self.layers)
    }

    /// Returns the share of `images` whose most probable class is their label.
    pub fn accuracy(&self, images: &[f32], labels: &[u8]) -> f64 {
        let outputs = self.forward(images).pop().unwrap_or_default();
        let classes = outputs.len() / labels.len();
        let right = outputs
            .chunks_exact(classes)
            .zip(labels)
            .filter(|(scores, label)| largest(scores) == usize::from(**label))
            .count();
        right as f64 / labels.len() as f64
    }

    /// Returns the gradient, for a batch, of the mean cross-entropy between the predicted classes and `labels`.
    pub fn gradients(&self, images: &[f32], labels: &[u8]) -> Vec<Layer> {
        let values = self.forward(images);
        let mut deltas = output_deltas(&values[self.layers.len() - 1], labels);
        let mut gradients = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let inputs = if index == 0 { images } else { &values[index - 1] };
            gradients.push(layer.gradient(inputs, &deltas));
            if index > 0 {
                deltas = layer.backward(&deltas);
                self.activation.backward(inputs, &mut deltas);
            }
        }
        gradients.reverse();
        gradients
    }

    /// Returns the outputs of each layer for a batch. The last layer's are scores, one for each class.
    fn forward(&self, images: &[f32]) -> Vec<Vec<f32>> {
        let mut values: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let mut outputs = layer.forward(values.last().map_or(images, Vec::as_slice));
            if index + 1 < self.layers.len() {
                self.activation.forward(&mut outputs);
            }
            values.push(outputs);
        }
        values
    }
}

impl Layer {
    /// Creates a layer with weights uniform in ± √(6 / inputs) for units that are off half the time, and in
    /// ± √(3 / inputs) for others. The values then keep their variance from layer to layer. He et al. 2015,
    /// "Delving Deep into Rectifiers", section 2.2.
    fn random(inputs: usize, outputs: usize, activation: Activation, rng: &mut Rng) -> Self {
        let gain = if activation == Activation::Relu { 6.0 } else { 3.0 };
        let bound = (gain / inputs as f32).sqrt();
        Layer {
            outputs,
            weights: (0..inputs * outputs).map(|_| bound * rng.uniform()).collect(),
            biases: vec![0.0; outputs],
        }
    }

    fn zeros_like(other: &Layer) -> Self {
        Layer {
            outputs: other.outputs,
            weights: vec![0.0; other.weights.len()],
            biases: vec![0.0; other.biases.len()],
        }
    }

    fn inputs(&self) -> usize {
        self.weights.len() / self.outputs
    }

    fn forward(&self, inputs: &[f32]) -> Vec<f32> {
        let mut outputs = self.biases.repeat(inputs.len() / self.inputs());
        add_product(&mut outputs, inputs, &self.weights, self.outputs);
        outputs
    }

    /// Returns the gradient with respect to the inputs, given that with respect to the outputs.
    fn backward(&self, deltas: &[f32]) -> Vec<f32> {
        let batch = deltas.len() / self.outputs;
        let mut input_deltas = vec![0.0; batch * self.inputs()];
        let weights = transpose(&self.weights, self.outputs);
        add_product(&mut input_deltas, deltas, &weights, self.inputs());
        input_deltas
    }

    /// Returns the gradient with respect to weights and biases, given that with respect to the outputs.
    fn gradient(&self, inputs: &[f32], deltas: &[f32]) -> Layer {
        let mut gradient = Layer::zeros_like(self);
        let inputs = transpose(inputs, self.inputs());
        add_product(&mut gradient.weights, &inputs, deltas, self.outputs);
        for row in deltas.chunks_exact(self.outputs) {
            add_scaled(&mut gradient.biases, 1.0, row);
        }
        gradient
    }
}

fn parameters(layers: &[Layer]) -> impl Iterator<Item = &f32> {
    layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases))
}

fn parameters_mut(layers: &mut [Layer]) -> impl Iterator<Item = &mut f32> {
    layers.iter_mut().flat_map(|layer| layer.weights.iter_mut().chain(&mut layer.biases))
}

impl Activation {
    fn forward(self, values: &mut [f32]) {
        for value in values {
            *value = match self {
                Activation::Relu => value.max(0.0),
                Activation::Tanh => value.tanh(),
                Activation::Logistic => 1.0 / (1.0 + (-*value).exp()),
            };
        }
    }

    /// Multiplies `deltas` by the derivatives, computed from the outputs of `forward`.
    fn backward(self, values: &[f32], deltas: &mut [f32]) {
        for (delta, &value) in deltas.iter_mut().zip(values) {
            *delta *= match self {
                Activation::Relu => f32::from(value > 0.0),
                Activation::Tanh => 1.0 - value * value,
                Activation::Logistic => value * (1.0 - value),
            };
        }
    }
}

impl From<Activation> for Choice {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Relu => "relu".into(),
            Activation::Tanh => "tanh".into(),
            Activation::Logistic => "logistic".into(),
        }
    }
}

impl Sgd {
    /// Creates a descent without velocity.
    pub fn new(mlp: &Mlp, learning_rate: f32, momentum: f32, l2: f32) -> Self {
        let velocity = mlp.layers.iter().map(Layer::zeros_like).collect();
        Sgd { learning_rate, momentum, l2, velocity }
    }

    /// Returns the last change of each weight and bias.
    pub fn velocities(&self) -> impl Iterator<Item = &f32> {
        parameters(&self.velocity)
    }

    /// Returns the last changes, mutable.
    pub fn velocities_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        parameters_mut(&mut self.velocity)
    }

    /// Takes a step downhill from a batch's [gradients](Mlp::gradients).
    pub fn step(&mut self, mlp: &mut Mlp, gradients: &[Layer]) {
        for ((layer, velocity), gradient) in
            mlp.layers.iter_mut().zip(&mut self.velocity).zip(gradients)
        {
            let (rate, momentum) = (self.learning_rate, self.momentum);
            descend(
                &mut layer.weights,
                &mut velocity.weights,
                &gradient.weights,
                rate,
                momentum,
                self.l2,
            );
            // Weight decay does not apply to biases: they are few and do not overfit.
            descend(&mut layer.biases, &mut velocity.biases, &gradient.biases, rate, momentum, 0.0);
        }
    }
}

fn descend(
    parameters: &mut [f32],
    velocity: &mut [f32],
    gradient: &[f32],
    rate: f32,
    momentum: f32,
    l2: f32,
) {
    for ((parameter, velocity), gradient) in parameters.iter_mut().zip(velocity).zip(gradient) {
        *velocity = momentum * *velocity - rate * (gradient + l2 * *parameter);
        *parameter += *velocity;
    }
}

/// Returns the gradient of the mean cross-entropy with respect to the scores.
fn output_deltas(scores: &[f32], labels: &[u8]) -> Vec<f32> {
    let batch = labels.len();
    let classes = scores.len() / batch;
    let mut deltas = scores.to_vec();
    for (row, &label) in deltas.chunks_exact_mut(classes).zip(labels) {
        softmax(row);
        row[usize::from(label)] -= 1.0;
        row.iter_mut().for_each(|delta| *delta /= batch as f32);
    }
    deltas
}

/// Turns scores into probabilities.
fn softmax(scores: &mut [f32]) {
    // The largest score becomes exp(0), so that no exponential overflows.
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// Computes `out += a · b`, where `b` and `out` have `columns` columns.
fn add_product(out: &mut [f32], a: &[f32], b: &[f32], columns: usize) {
    let inner = b.len() / columns;
    for (out, a) in out.chunks_exact_mut(columns).zip(a.chunks_exact(inner)) {
        // With four rows of `b` at a time, each element of `out` is loaded and stored once for four
        // multiplications.
        let mut quads = b.chunks_exact(4 * columns);
        let mut factors = a.chunks_exact(4);
        for (rows, factors) in quads.by_ref().zip(factors.by_ref()) {
            add_four_scaled(out, factors, rows);
        }
        let rest = quads.remainder().chunks_exact(columns);
        for (row, factor) in rest.zip(factors.remainder()) {
            add_scaled(out, *factor, row);
        }
    }
}

/// Adds four rows to `out`, each multiplied by its factor. `rows` holds one after the other.
fn add_four_scaled(out: &mut [f32], factors: &[f32], rows: &[f32]) {
    let columns = out.len();
    let (first, rows) = rows.split_at(columns);
    let (second, rows) = rows.split_at(columns);
    let (third, fourth) = rows.split_at(columns);
    // This slice proves to the compiler that no index is out of bounds; a `zip` of five is harder to read.
    let fourth = &fourth[..columns];
    for column in 0..columns {
        out[column] += factors[0] * first[column]
            + factors[1] * second[column]
            + factors[2] * third[column]
            + factors[3] * fourth[column];
    }
}

fn add_scaled(out: &mut [f32], factor: f32, row: &[f32]) {
    for (out, value) in out.iter_mut().zip(row) {
        *out += factor * value;
    }
}

/// Returns the transpose of a matrix with `columns` columns.
fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut transposed = vec![0.0; matrix.len()];
    for (row, values) in matrix.chunks_exact(columns).enumerate() {
        for (column, value) in values.iter().enumerate() {
            transposed[column * rows + row] = *value;
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The central difference has an error of h² from the third derivative, and one of 1e-7 / h from
    /// rounding.
    #[test]
    fn gradients_agree_with_finite_differences() {
        check_gradients(Activation::Tanh, 1.0 / 128.0, 2e-4);
        check_gradients(Activation::Logistic, 1.0 / 128.0, 2e-4);
        // The step is small, because a larger one takes some unit across the kink at 0.
        check_gradients(Activation::Relu, 1.0 / 4096.0, 2e-3);
    }

    #[track_caller]
    fn check_gradients(activation: Activation, h: f32, tolerance: f32) {
        let mut rng = Rng::new(1);
        let mlp = Mlp::new(&[6, 7, 5, 3], activation, &mut rng);
        let images: Vec<f32> = (0..9 * 6).map(|_| rng.uniform()).collect();
        let labels = [0, 1, 2, 2, 1, 0, 1, 1, 0];
        let gradients = mlp.gradients(&images, &labels);
        for (place, found) in parameters(&gradients).enumerate() {
            let [above, below] = [h, -h].map(|h| {
                let mut mlp = mlp.clone();
                *parameters_mut(&mut mlp.layers).nth(place).unwrap() += h;
                loss(&mlp, &images, &labels)
            });
            let wanted = (above - below) / (2.0 * h);
            assert!(
                (found - wanted).abs() < tolerance,
                "{activation:?}, parameter {place}: found {found}, wanted {wanted}"
            );
        }
    }

    fn loss(mlp: &Mlp, images: &[f32], labels: &[u8]) -> f32 {
        let mut scores = mlp.forward(images).pop().unwrap();
        let rows = scores.chunks_exact_mut(3).zip(labels);
        let losses = rows.map(|(row, &label)| {
            softmax(row);
            -row[usize::from(label)].ln()
        });
        losses.sum::<f32>() / labels.len() as f32
    }

    #[test]
    fn momentum_keeps_the_velocity_and_decay_shrinks_the_weights() {
        let (mut parameters, mut velocity) = ([2.0], [1.0]);
        descend(&mut parameters, &mut velocity, &[3.0], 0.1, 0.5, 0.25);
        assert_eq!(velocity, [0.5 * 1.0 - 0.1 * (3.0 + 0.25 * 2.0)]);
        assert_eq!(parameters, [2.0 + velocity[0]]);
    }

    #[test]
    fn a_product_of_any_inner_length_is_added() {
        for inner in 1..=9 {
            let a: Vec<f32> = (0..2 * inner).map(|value| value as f32).collect();
            let b: Vec<f32> = (0..inner * 3).map(|value| 1.0 + value as f32).collect();
            let mut out = vec![1.0; 6];
            add_product(&mut out, &a, &b, 3);
            for (index, found) in out.into_iter().enumerate() {
                let (row, column) = (index / 3, index % 3);
                let wanted: f32 = (0..inner).map(|k| a[row * inner + k] * b[k * 3 + column]).sum();
                assert_eq!(found, 1.0 + wanted, "inner length {inner}, element {index}");
            }
        }
    }
}
