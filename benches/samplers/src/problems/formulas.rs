//! Real-valued functions that the literature uses again and again.

use crate::problem::{Point, Problem, float, floats};
use std::f64::consts::{E, PI};

pub(super) fn all() -> Vec<Problem> {
    let noisy = Problem { name: "noisy_hartmann6", class: "noisy", noise: 0.2, ..hartmann6() };
    vec![
        branin(),
        hartmann6(),
        rosenbrock("rosenbrock2", "smooth", 2),
        sphere("sphere5", "smooth", 5),
        rosenbrock("rosenbrock10", "smooth, many parameters", 10),
        sphere("sphere20", "smooth, many parameters", 20),
        ackley10(),
        rastrigin5(),
        noisy,
    ]
}

/// Returns the place of the optimum: in the middle 60 % of the range and never at its centre, which some samplers try
/// first. Coordinate i is at the fractional part of (i + 1)·0.618… of that part.
fn optimum_at(d: usize, low: f64, high: f64) -> Vec<f64> {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_9;
    (1..=d).map(|i| low + (0.2 + 0.6 * (i as f64 * GOLDEN_RATIO).fract()) * (high - low)).collect()
}

fn shifted(x: &[f64], origin: &[f64]) -> Vec<f64> {
    x.iter().zip(origin).map(|(x, origin)| x - origin).collect()
}

fn sphere(name: &'static str, class: &'static str, d: usize) -> Problem {
    let origin = optimum_at(d, -5.0, 5.0);
    Problem::single((name, class), floats(d, -5.0, 5.0), 0.0, move |point| {
        shifted(&point.vector(d), &origin).iter().map(|z| z * z).sum()
    })
}

fn rosenbrock(name: &'static str, class: &'static str, d: usize) -> Problem {
    Problem::single((name, class), floats(d, -5.0, 10.0), 0.0, move |point| {
        let x = point.vector(d);
        x.windows(2)
            .map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2))
            .sum()
    })
}

fn branin() -> Problem {
    let params = vec![float("x0", -5.0, 10.0), float("x1", 0.0, 15.0)];
    Problem::single(("branin", "smooth"), params, 0.397_887_357_729_738_16, |point| {
        let (x, y) = (point.number("x0"), point.number("x1"));
        let (b, c, t) = (5.1 / (4.0 * PI * PI), 5.0 / PI, 1.0 / (8.0 * PI));
        (y - b * x * x + c * x - 6.0).powi(2) + 10.0 * (1.0 - t) * x.cos() + 10.0
    })
}

/// Returns Hartmann's function of six variables, with the constants of Dixon and Szegő 1978.
fn hartmann6() -> Problem {
    let params = floats(6, 0.0, 1.0);
    Problem::single(("hartmann6", "smooth"), params, -3.322_368_011_415_515, hartmann6_at)
}

fn hartmann6_at(point: &Point) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let x = point.vector(6);
    let bump = |a: &[f64; 6], p: &[f64; 6]| -> f64 {
        let distance: f64 = (0..6).map(|j| a[j] * (x[j] - p[j]).powi(2)).sum();
        (-distance).exp()
    };
    -(0..4).map(|i| ALPHA[i] * bump(&A[i], &P[i])).sum::<f64>()
}

fn ackley10() -> Problem {
    const D: usize = 10;
    const BOUND: f64 = 32.768;
    let origin = optimum_at(D, -BOUND, BOUND);
    let params = floats(D, -BOUND, BOUND);
    Problem::single(("ackley10", "multimodal"), params, 0.0, move |point| {
        let z = shifted(&point.vector(D), &origin);
        let mean = |term: &dyn Fn(f64) -> f64| z.iter().map(|z| term(*z)).sum::<f64>() / D as f64;
        let distance = mean(&|z| z * z).sqrt();
        let waves = mean(&|z| (2.0 * PI * z).cos());
        -20.0 * (-0.2 * distance).exp() - waves.exp() + 20.0 + E
    })
}

fn rastrigin5() -> Problem {
    const D: usize = 5;
    let origin = optimum_at(D, -5.12, 5.12);
    let params = floats(D, -5.12, 5.12);
    Problem::single(("rastrigin5", "multimodal"), params, 0.0, move |point| {
        let z = shifted(&point.vector(D), &origin);
        10.0 * D as f64 + z.iter().map(|z| z * z - 10.0 * (2.0 * PI * z).cos()).sum::<f64>()
    })
}
