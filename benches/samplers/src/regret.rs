//! Regret: the distance of a run from the optimum after each of its trials.

use crate::problem::{Measured, Problem};

/// Returns the regret after each trial, as many as the run has.
///
/// With one objective: the value without noise of the trial that was best as observed, less the optimum;
/// infinite until a trial satisfies every constraint. With two: the hypervolume of the whole front less that of
/// the trials so far. O(n) and O(n²·log n).
pub(crate) fn trace(problem: &Problem, run: &[Measured]) -> Vec<f64> {
    match problem.reference_point {
        Some(reference) => {
            (1..=run.len()).map(|n| problem.optimum - hypervolume(&run[..n], reference)).collect()
        }
        None => single_objective(problem.optimum, run),
    }
}

fn single_objective(optimum: f64, run: &[Measured]) -> Vec<f64> {
    let (mut best, mut regret) = (f64::INFINITY, f64::INFINITY);
    run.iter()
        .map(|measured| {
            let is_feasible = measured.constraints.iter().all(|constraint| *constraint <= 0.0);
            if is_feasible && measured.values[0] < best {
                best = measured.values[0];
                regret = measured.true_values[0] - optimum;
            }
            regret
        })
        .collect()
}

/// Returns the area between the points and the reference point, which bounds both objectives from above.
fn hypervolume(run: &[Measured], reference: [f64; 2]) -> f64 {
    let inside = |point: &[f64; 2]| point[0] < reference[0] && point[1] < reference[1];
    let mut points: Vec<[f64; 2]> = run
        .iter()
        .map(|measured| [measured.true_values[0], measured.true_values[1]])
        .filter(inside)
        .collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let (mut area, mut lowest) = (0.0, reference[1]);
    for [x, y] in points {
        if y < lowest {
            area += (reference[0] - x) * (lowest - y);
            lowest = y;
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::named;

    fn problem(name: &str) -> Problem {
        named(&[name.to_owned()]).expect("a known problem").remove(0)
    }

    fn measured(values: &[f64], constraints: &[f64], true_values: &[f64]) -> Measured {
        Measured {
            values: values.to_vec(),
            constraints: constraints.to_vec(),
            true_values: true_values.to_vec(),
        }
    }

    #[test]
    fn the_regret_is_that_of_the_best_observed_trial() {
        let run =
            [(3.0, 2.0), (1.0, 2.5), (2.0, 0.0)].map(|(seen, is)| measured(&[seen], &[], &[is]));
        assert_eq!(trace(&problem("sphere5"), &run), [2.0, 2.5, 2.5]);
    }

    #[test]
    fn an_infeasible_trial_does_not_count() {
        let mut vessel = problem("vessel4");
        vessel.optimum = 1.0;
        let run = [(1.0, 0.5), (9.0, 0.0), (2.0, -1.0)]
            .map(|(value, constraint)| measured(&[value], &[-1.0, constraint, -1.0], &[value]));
        assert_eq!(trace(&vessel, &run), [f64::INFINITY, 8.0, 1.0]);
    }

    #[test]
    fn two_objectives_are_measured_by_the_area_that_is_missing() {
        let mut zdt1 = problem("zdt1_6");
        (zdt1.optimum, zdt1.reference_point) = (6.0, Some([3.0, 3.0]));
        let run = [[1.0, 2.0], [2.0, 1.0], [2.5, 2.5], [9.0, 0.0]]
            .map(|values| measured(&values, &[], &values));
        assert_eq!(trace(&zdt1, &run), [4.0, 3.0, 3.0, 3.0]);
    }
}
