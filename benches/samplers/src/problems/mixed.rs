//! Problems with more than real numbers: integers, choices, conditions, constraints, two objectives.

use crate::problem::{Point, Problem, choice, float, floats, int, log_float, log_int};
use std::f64::consts::PI;

pub(super) fn all() -> Vec<Problem> {
    vec![vessel4(), zdt1(), mixcond()]
}

/// Returns the pressure vessel of Sandgren 1990: two plate thicknesses in sixteenths of an inch, radius and length.
fn vessel4() -> Problem {
    let params = vec![
        int("i1", 1, 99),
        int("i2", 1, 99),
        float("x3", 10.0, 200.0),
        float("x4", 10.0, 200.0),
    ];
    let formula = |point: &Point| {
        let (shell, head) = (0.0625 * point.number("i1"), 0.0625 * point.number("i2"));
        let (radius, length) = (point.number("x3"), point.number("x4"));
        let cost = 0.6224 * shell * radius * length
            + 1.7781 * head * radius * radius
            + 3.1661 * shell * shell * length
            + 19.84 * shell * shell * radius;
        const VOLUME: f64 = 1_296_000.0;
        let volume = PI * radius * radius * length + 4.0 / 3.0 * PI * radius.powi(3);
        vec![cost, 0.0193 * radius - shell, 0.00954 * radius - head, (VOLUME - volume) / VOLUME]
    };
    Problem {
        name: "vessel4",
        class: "constrained",
        params,
        optimum: 6_059.714_335_048_436,
        reference_point: None,
        n_constraints: 3,
        noise: 0.0,
        formula: Box::new(formula),
    }
}

/// Returns ZDT1 (Zitzler, Deb and Thiele 2000) with six variables; the front is f₂ = 1 − √f₁.
fn zdt1() -> Problem {
    let formula = |point: &Point| {
        let x = point.vector(6);
        let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / 5.0;
        vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
    };
    Problem {
        name: "zdt1_6",
        class: "two objectives",
        params: floats(6, 0.0, 1.0),
        optimum: 121.0 - 1.0 / 3.0,
        reference_point: Some([11.0, 11.0]),
        n_constraints: 0,
        noise: 0.0,
        formula: Box::new(formula),
    }
}

/// Returns three model families behind one choice, each with its own parameters; 0 is reached by `net` alone, whose
/// best learning rate depends on its width.
fn mixcond() -> Problem {
    let params = vec![
        choice("algo", &["lin", "tree", "net"]),
        log_float("lr", 1e-5, 1.0),
        log_int("batch", 8, 512),
        log_float("l2", 1e-8, 1e-1).when("algo", &["lin"]),
        choice("pen", &["l1", "l2", "none"]).when("algo", &["lin"]),
        int("depth", 1, 16).when("algo", &["tree"]),
        log_int("leaf", 1, 64).when("algo", &["tree"]),
        float("sub", 0.1, 1.0).when("algo", &["tree"]),
        log_int("units", 8, 1024).when("algo", &["net"]),
        int("layers", 1, 6).when("algo", &["net"]),
        float("drop", 0.0, 0.8).when("algo", &["net"]),
        choice("act", &["relu", "tanh", "gelu", "silu"]).when("algo", &["net"]),
    ];
    Problem::single(("mixcond", "mixed, conditional"), params, 0.0, |point| {
        let batch = 0.02 * (point.number("batch").log2() - 5.0).powi(2);
        let family = match point.text("algo") {
            "lin" => linear(point),
            "tree" => tree(point),
            _ => network(point),
        };
        family + batch
    })
}

fn linear(point: &Point) -> f64 {
    let penalty = match point.text("pen") {
        "l1" => 0.05,
        "l2" => 0.0,
        _ => 0.08,
    };
    0.35 + 0.03 * (point.number("lr").log10() + 1.0).powi(2)
        + 0.01 * (point.number("l2").log10() + 4.0).powi(2)
        + penalty
}

fn tree(point: &Point) -> f64 {
    0.15 + 0.05 * (point.number("lr").log10() + 1.0).powi(2)
        + 0.004 * (point.number("depth") - 7.0).powi(2)
        + 0.02 * (point.number("leaf").log2() - 2.0).powi(2)
        + 0.3 * (point.number("sub") - 0.8).powi(2)
}

fn network(point: &Point) -> f64 {
    let width = point.number("units").log2();
    let activation = match point.text("act") {
        "relu" => 0.06,
        "tanh" => 0.15,
        "gelu" => 0.0,
        _ => 0.03,
    };
    0.25 * (point.number("lr").log10() + 3.0 + 0.3 * (width - 7.0)).powi(2)
        + 0.03 * (width - 8.0).powi(2)
        + 0.03 * (point.number("layers") - 3.0).powi(2)
        + 0.8 * (point.number("drop") - 0.25).powi(2)
        + activation
}
