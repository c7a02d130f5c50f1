//! Axes across a direction.

use crate::vector::{dot, norm};

/// Returns orthonormal vectors that are orthogonal to `direction`, a unit vector or zero: one less than it has
/// coordinates.
///
/// They are the last columns of Q of the Householder decomposition of (direction, e₂, e₃, …), with the signs that
/// LAPACK's `dgeqrf` chooses, so that the same draws make the same child as in Optuna.
pub(super) fn orthonormal_complement(direction: &[f64]) -> Vec<Vec<f64>> {
    let n = direction.len();
    let mut columns: Vec<Vec<f64>> = (0..n).map(|place| unit(n, place)).collect();
    if direction.iter().any(|it| *it != 0.0) {
        columns[0] = direction.to_vec();
    }
    let mut reflections = Vec::with_capacity(n);
    for step in 0..n {
        let reflection = Reflection::of(&columns[step], step);
        columns[step + 1..].iter_mut().for_each(|column| reflection.apply(column));
        reflections.push(reflection);
    }
    let mut axes: Vec<Vec<f64>> = (1..n).map(|place| unit(n, place)).collect();
    for axis in &mut axes {
        reflections.iter().rev().for_each(|reflection| reflection.apply(axis));
    }
    axes
}

fn unit(n: usize, place: usize) -> Vec<f64> {
    (0..n).map(|it| if it == place { 1.0 } else { 0.0 }).collect()
}

/// I − τ·v·vᵀ, which takes a vector's coordinates behind `step` to zero.
struct Reflection {
    tau: f64,
    vector: Vec<f64>,
}

impl Reflection {
    fn of(column: &[f64], step: usize) -> Self {
        let mut vector = vec![0.0; column.len()];
        let rest = norm(&column[step + 1..]);
        if rest == 0.0 {
            return Reflection { tau: 0.0, vector };
        }
        let first = column[step];
        let image = -first.hypot(rest).copysign(first);
        vector[step] = 1.0;
        for place in step + 1..column.len() {
            vector[place] = column[place] / (first - image);
        }
        Reflection { tau: (image - first) / image, vector }
    }

    fn apply(&self, target: &mut [f64]) {
        let factor = self.tau * dot(&self.vector, target);
        target.iter_mut().zip(&self.vector).for_each(|(value, part)| *value -= factor * part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_are_orthonormal_and_across_the_direction() {
        let third = 1.0f64 / 3.0f64.sqrt();
        for direction in [vec![third, -third, third], vec![0.0, 1.0, 0.0], vec![1.0], vec![0.0; 4]]
        {
            let axes = orthonormal_complement(&direction);
            assert_eq!(axes.len(), direction.len() - 1);
            for (index, axis) in axes.iter().enumerate() {
                assert!(dot(axis, &direction).abs() < 1e-15);
                for (other_index, other) in axes.iter().enumerate() {
                    let want = if index == other_index { 1.0 } else { 0.0 };
                    assert!((dot(axis, other) - want).abs() < 1e-15, "{axes:?}");
                }
            }
        }
    }
}
