//! The problems: closed formulas with known optima, and tables of real training runs.

mod formulas;
mod mixed;
mod tables;

use crate::problem::Problem;
use anyhow::{Result, bail};

/// Returns all problems, those of a class together.
pub(crate) fn all() -> Vec<Problem> {
    [formulas::all(), mixed::all(), tables::all()].into_iter().flatten().collect()
}

/// Returns the problems of the given names, in the order of [`all`].
///
/// # Errors
/// Lists the problems there are.
pub(crate) fn named(names: &[String]) -> Result<Vec<Problem>> {
    let all = all();
    if let Some(unknown) =
        names.iter().find(|name| all.iter().all(|problem| problem.name != **name))
    {
        let known: Vec<&str> = all.iter().map(|problem| problem.name).collect();
        bail!("unknown problem `{unknown}`: expected one of {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|problem| names.iter().any(|name| name == problem.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Point;
    use trialbox_core::Json;

    const VECTORS: &str = include_str!("../../data/vectors.csv");

    fn find<'a>(problems: &'a [Problem], name: &str) -> &'a Problem {
        problems.iter().find(|problem| problem.name == name).expect("a known problem")
    }

    fn numbers(json: &str) -> Vec<f64> {
        let Ok(Json::Array(items)) = Json::parse(json) else { panic!("no list: {json}") };
        items.iter().map(|item| item.as_f64().expect("a number")).collect()
    }

    /// Compares numbers, relative to the wanted value, or absolute where that is below 1.
    fn is_close(found: &[f64], want: &[f64]) -> bool {
        found.len() == want.len()
            && found.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
    }

    #[test]
    fn every_problem_has_the_values_of_the_python_implementation() {
        let (problems, mut checked) = (all(), 0);
        for line in VECTORS.lines().skip(1) {
            let fields: Vec<&str> = line.split(';').collect();
            let [name, key, params, values, constraints] = fields[..] else { panic!("{line}") };
            let problem = find(&problems, name);
            let Ok(Json::Object(params)) = Json::parse(params) else { panic!("{line}") };
            let found = problem
                .evaluate(&Point(params.into_iter().collect()), key.parse().expect("an integer"));
            assert!(is_close(&found.values, &numbers(values)), "{line}: {found:?}");
            assert!(is_close(&found.constraints, &numbers(constraints)), "{line}: {found:?}");
            checked += 1;
        }
        assert_eq!(checked, 6 * problems.len());
    }

    /// The points of `vectors.csv` hold every parameter that exists, and no other.
    #[test]
    fn conditions_decide_which_parameters_exist() {
        let problems = all();
        for line in VECTORS.lines().skip(1) {
            let fields: Vec<&str> = line.split(';').collect();
            let problem = find(&problems, fields[0]);
            let Ok(Json::Object(params)) = Json::parse(fields[2]) else { panic!("{line}") };
            let mut point = Point::default();
            for spec in &problem.params {
                if spec.is_active(&point) {
                    let value = params.iter().find(|(name, _)| *name == spec.name);
                    let (name, value) =
                        value.unwrap_or_else(|| panic!("no {} in {line}", spec.name));
                    let internal =
                        spec.distribution.to_internal(value).expect("a value of the parameter");
                    assert!(spec.distribution.contains(internal), "{name} in {line}");
                    point.0.insert(name.clone(), value.clone());
                }
            }
            assert_eq!(point.0.len(), params.len(), "{line}");
        }
    }

    #[test]
    fn a_problem_that_is_none_lists_those_there_are() {
        let Err(error) = named(&["sphere".to_owned()]) else { panic!("there is no `sphere`") };
        assert!(
            error.to_string().starts_with("unknown problem `sphere`: expected one of branin, ")
        );
    }
}
