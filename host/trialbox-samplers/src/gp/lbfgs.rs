//! Minimisation within a box: L-BFGS whose steps are projected into the box.
//!
//! Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4 and 7.5; variables that a step would carry out of
//! the box are held at its side, as Bertsekas 1982, "Projected Newton Methods", does it.

use super::cholesky::dot;

/// The number of earlier steps from which curvature is known.
const MEMORY: usize = 8;

/// The smallest share of the promised decrease that a step must bring (Armijo's rule).
const SUFFICIENT: f64 = 1e-4;

/// Bounds and limits of a minimisation.
pub(super) struct Limits<'a> {
    /// The lower bounds.
    pub(super) low: &'a [f64],
    /// The upper bounds.
    pub(super) high: &'a [f64],
    /// The size of the projected gradient at which the search ends, in the largest component.
    pub(super) tolerance: f64,
    /// The largest number of steps.
    pub(super) max_steps: usize,
}

/// A minimum: the point and its value.
#[derive(Debug, Clone)]
pub(super) struct Minimum {
    pub(super) x: Vec<f64>,
    pub(super) value: f64,
}

/// Earlier steps with the changes of the gradient.
#[derive(Default)]
struct Memory {
    pairs: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Minimises `f`, which returns its value and writes its gradient, from `start`, which is moved into the box. A point
/// at which the value is no number is never taken.
pub(super) fn minimize(
    start: &[f64],
    limits: &Limits,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let mut x = start.to_vec();
    project(&mut x, limits);
    let mut gradient = vec![0.0; x.len()];
    let mut value = f(&x, &mut gradient);
    let mut memory = Memory::default();
    for _ in 0..limits.max_steps {
        let is_held = held(&x, &gradient, limits);
        if !value.is_finite() || largest_free(&gradient, &is_held) <= limits.tolerance {
            break;
        }
        let mut direction = memory.direction(&gradient, &is_held);
        if dot(&direction, &gradient) >= 0.0 {
            memory.pairs.clear();
            direction = memory.direction(&gradient, &is_held);
        }
        let is_first = memory.pairs.is_empty();
        let Some(step) = line_search(&x, value, &gradient, &direction, is_first, limits, &mut f)
        else {
            // The curvature misled; once more along the gradient, and then this is the end.
            if is_first {
                break;
            }
            memory.pairs.clear();
            continue;
        };
        let decrease = value - step.value;
        memory.learn(&x, &gradient, &step);
        (x, value, gradient) = (step.x, step.value, step.gradient);
        if decrease <= 1e-13 * value.abs().max(1e-3) {
            break;
        }
    }
    Minimum { x, value }
}

struct Step {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Memory {
    /// Returns minus the gradient times the estimated inverse of the Hessian, in the free variables.
    fn direction(&self, gradient: &[f64], is_held: &[bool]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.to_vec();
        mask(&mut q, is_held);
        let mut factors = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let factor = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= factor * y);
            factors.push(factor);
        }
        if let Some((s, y)) = self.pairs.last() {
            let scale = dot(s, y) / dot(y, y);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for ((s, y), factor) in self.pairs.iter().zip(factors.iter().rev()) {
            let rest = factor - dot(y, &q) / dot(s, y);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += rest * s);
        }
        mask(&mut q, is_held);
        q.iter_mut().for_each(|q| *q = -*q);
        q
    }

    /// Remembers a step if the function curves upwards along it.
    fn learn(&mut self, x: &[f64], gradient: &[f64], step: &Step) {
        let s: Vec<f64> = step.x.iter().zip(x).map(|(new, old)| new - old).collect();
        let y: Vec<f64> = step.gradient.iter().zip(gradient).map(|(new, old)| new - old).collect();
        if dot(&s, &y) > 1e-12 * dot(&y, &y) {
            if self.pairs.len() == MEMORY {
                self.pairs.remove(0);
            }
            self.pairs.push((s, y));
        }
    }
}

/// Halves the step until the value has decreased enough; `None` if no step does.
fn line_search(
    x: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    is_first: bool,
    limits: &Limits,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Step> {
    // Without curvature, a step of length 0.1: the variables are logarithms and places in a unit cube.
    let length = dot(direction, direction).sqrt();
    let mut scale = if is_first { (0.1 / length).min(1.0) } else { 1.0 };
    for _ in 0..20 {
        let mut new: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + scale * d).collect();
        project(&mut new, limits);
        let moved: Vec<f64> = new.iter().zip(x).map(|(new, old)| new - old).collect();
        let promised = dot(&moved, gradient);
        if promised >= 0.0 {
            return None;
        }
        let mut new_gradient = vec![0.0; x.len()];
        let new_value = f(&new, &mut new_gradient);
        if new_value <= value + SUFFICIENT * promised {
            return Some(Step { x: new, value: new_value, gradient: new_gradient });
        }
        // The minimum of the parabola through what is known, within bounds.
        let curvature = new_value - value - promised;
        let best = -0.5 * promised / curvature;
        scale *= if best.is_finite() { best.clamp(0.1, 0.5) } else { 0.1 };
    }
    None
}

fn project(x: &mut [f64], limits: &Limits) {
    for ((x, low), high) in x.iter_mut().zip(limits.low).zip(limits.high) {
        *x = x.max(*low).min(*high);
    }
}

/// Returns which variables lie at a side of the box that the gradient presses them against.
fn held(x: &[f64], gradient: &[f64], limits: &Limits) -> Vec<bool> {
    let sides = limits.low.iter().zip(limits.high);
    let variables = x.iter().zip(gradient).zip(sides);
    variables
        .map(|((x, g), (low, high))| (x <= low && *g > 0.0) || (x >= high && *g < 0.0))
        .collect()
}

fn largest_free(gradient: &[f64], is_held: &[bool]) -> f64 {
    let free = gradient.iter().zip(is_held).filter(|(_, is_held)| !**is_held);
    free.fold(0.0, |largest, (g, _)| g.abs().max(largest))
}

fn mask(vector: &mut [f64], is_held: &[bool]) {
    vector.iter_mut().zip(is_held).filter(|(_, is_held)| **is_held).for_each(|(x, _)| *x = 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient[0] = -2.0 * a - 400.0 * x[0] * b;
        gradient[1] = 200.0 * b;
        a * a + 100.0 * b * b
    }

    fn found(low: [f64; 2], high: [f64; 2]) -> Minimum {
        let limits = Limits { low: &low, high: &high, tolerance: 1e-9, max_steps: 300 };
        minimize(&[-1.2, 1.0], &limits, rosenbrock)
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let minimum = found([-5.0; 2], [5.0; 2]);
        assert!(minimum.x.iter().all(|x| (x - 1.0).abs() < 1e-6), "{minimum:?}");
    }

    #[test]
    fn a_minimum_at_the_side_of_the_box_is_found() {
        let minimum = found([-5.0; 2], [0.5, 5.0]);
        assert!((minimum.x[0] - 0.5).abs() < 1e-12 && (minimum.x[1] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn a_function_without_numbers_leaves_the_start() {
        let limits = Limits { low: &[0.0], high: &[1.0], tolerance: 1e-9, max_steps: 10 };
        let minimum = minimize(&[2.0], &limits, |_, _| f64::NAN);
        assert_eq!(minimum.x, [1.0]);
    }
}
