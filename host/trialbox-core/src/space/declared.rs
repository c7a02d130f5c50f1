//! A search space that is declared before a trial, with conditions and constraints between its parameters.

use crate::space::distribution::Distribution;
use crate::space::relation::Relation;
use crate::value::json::Json;
use thiserror::Error;

/// Parameters that are suggested together, before the objective runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeclaredSpace {
    /// The parameters, each after those of its conditions.
    params: Vec<DeclaredParam>,
    relations: Vec<Relation>,
}

/// A parameter of a declared space.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredParam {
    /// The name.
    pub name: String,
    /// The values that it can take.
    pub distribution: Distribution,
    /// The conditions under which a trial has it, all of which must be true.
    pub when: Vec<Condition>,
}

/// A condition: another parameter is there and has one of these values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The other parameter.
    pub param: String,
    /// The values.
    pub values: Vec<Json>,
}

/// The reason why a space cannot be declared.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{item}: {problem}")]
pub struct SpaceError {
    /// The parameter or the constraint.
    pub item: SpaceItem,
    /// The fault, in a sentence.
    pub problem: String,
}

/// A part of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceItem {
    /// A parameter.
    Param(String),
    /// A constraint, by its index.
    Relation(usize),
}

impl std::fmt::Display for SpaceItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SpaceItem::Param(name) => write!(f, "parameter `{name}`"),
            SpaceItem::Relation(index) => write!(f, "constraint {}", index + 1),
        }
    }
}

impl DeclaredSpace {
    /// Creates a space. The parameters may stand in any order.
    ///
    /// # Errors
    /// Fails for a name that is given twice, for a condition or a constraint that names no parameter of the space, for
    /// a value that a parameter cannot have, for conditions in a circle, and for a constraint on text.
    pub fn new(params: Vec<DeclaredParam>, relations: Vec<Relation>) -> Result<Self, SpaceError> {
        for (index, param) in params.iter().enumerate() {
            if params[..index].iter().any(|earlier| earlier.name == param.name) {
                return Err(param.error("expected one range, found two".to_owned()));
            }
            for condition in &param.when {
                check_condition(param, condition, &params)?;
            }
        }
        for (index, relation) in relations.iter().enumerate() {
            check_relation(relation, &params).map_err(|problem| SpaceError {
                item: SpaceItem::Relation(index),
                problem: format!("`{relation}`: {problem}"),
            })?;
        }
        Ok(DeclaredSpace { params: in_order(params)?, relations })
    }

    /// Returns the parameters, each after those of its conditions.
    pub fn params(&self) -> &[DeclaredParam] {
        &self.params
    }

    /// Returns the constraints.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// Returns whether the space has no parameter.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// Returns the first constraint that does not hold for these values, external and by name.
    pub fn violated(&self, values: &[(String, Json)]) -> Option<&Relation> {
        let value_of = |name: &str| find(values, name)?.as_f64();
        self.relations.iter().find(|relation| !relation.holds(&value_of))
    }
}

impl DeclaredParam {
    /// Returns whether a trial with these values, external and by name, has the parameter.
    pub fn is_present(&self, values: &[(String, Json)]) -> bool {
        self.when.iter().all(|condition| {
            find(values, &condition.param)
                .is_some_and(|value| condition.values.iter().any(|wanted| wanted.python_eq(value)))
        })
    }

    fn error(&self, problem: String) -> SpaceError {
        SpaceError { item: SpaceItem::Param(self.name.clone()), problem }
    }
}

fn find<'a>(values: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn check_condition(
    param: &DeclaredParam,
    condition: &Condition,
    params: &[DeclaredParam],
) -> Result<(), SpaceError> {
    let Some(other) = params.iter().find(|other| other.name == condition.param) else {
        let found = &condition.param;
        return Err(param.error(format!(
            "expected a parameter of the space in its condition, found `{found}`"
        )));
    };
    if condition.values.is_empty() {
        return Err(param.error(format!("expected a value of `{}`, found none", other.name)));
    }
    for value in &condition.values {
        if let Err(error) = other.distribution.to_internal_strict(value) {
            let name = &other.name;
            return Err(param.error(format!(
                "expected a value of `{name}` in its condition, found {value}: {error}"
            )));
        }
    }
    Ok(())
}

/// Checks that the parameters of a constraint are there and are numbers.
fn check_relation(relation: &Relation, params: &[DeclaredParam]) -> Result<(), String> {
    let names = relation.params();
    if names.is_empty() {
        return Err("expected a parameter of the space, found numbers alone".to_owned());
    }
    for name in names {
        let Some(param) = params.iter().find(|param| param.name == name) else {
            return Err(format!("expected a parameter of the space, found `{name}`"));
        };
        if let Distribution::Categorical(categorical) = &param.distribution
            && let Some(choice) = categorical.choices().iter().find(|choice| !is_number(choice))
        {
            return Err(format!("expected a number for `{name}`, found the choice {choice}"));
        }
    }
    Ok(())
}

fn is_number(choice: &Json) -> bool {
    matches!(choice, Json::Int(_) | Json::BigInt(_) | Json::Float(_))
}

/// Sorts parameters so that each stands after those of its conditions, and otherwise as before.
fn in_order(mut left: Vec<DeclaredParam>) -> Result<Vec<DeclaredParam>, SpaceError> {
    let mut sorted: Vec<DeclaredParam> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_ready = |param: &DeclaredParam| {
            param
                .when
                .iter()
                .all(|condition| sorted.iter().any(|earlier| earlier.name == condition.param))
        };
        let Some(next) = left.iter().position(is_ready) else {
            let names: Vec<String> = left.iter().map(|param| format!("`{}`", param.name)).collect();
            return Err(left[0].error(format!(
                "expected conditions that do not depend on each other, found a circle among {}",
                names.join(", ")
            )));
        };
        sorted.push(left.remove(next));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(name: &str, when: &[(&str, &[Json])]) -> DeclaredParam {
        let distribution = match name {
            "kind" => Distribution::categorical(vec!["sgd".into(), "adam".into()]),
            _ => Distribution::float(0.0, 10.0, false, None),
        };
        let when = when.iter().map(|(param, values)| Condition {
            param: (*param).to_owned(),
            values: values.to_vec(),
        });
        let distribution = distribution.expect("a range");
        DeclaredParam { name: name.to_owned(), distribution, when: when.collect() }
    }

    #[track_caller]
    fn refused(params: Vec<DeclaredParam>, relations: &[&str], want: &str) {
        let relations = relations.iter().map(|text| Relation::parse(text).expect(text));
        let error = DeclaredSpace::new(params, relations.collect()).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
    }

    #[test]
    fn a_parameter_stands_after_those_of_its_conditions() {
        let params = vec![
            param("momentum", &[("kind", &["sgd".into()]), ("a", &[Json::from(1.0)])]),
            param("a", &[]),
            param("kind", &[("a", &[Json::from(2.0), Json::from(1.0)])]),
        ];
        let space = DeclaredSpace::new(params, vec![]).expect("a space");
        let names: Vec<&str> = space.params().iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["a", "kind", "momentum"]);
        let values = |a: f64, kind: &str| {
            vec![("a".to_owned(), Json::from(a)), ("kind".to_owned(), Json::from(kind))]
        };
        let momentum = &space.params()[2];
        assert!(momentum.is_present(&values(1.0, "sgd")));
        assert!(!momentum.is_present(&values(2.0, "sgd")));
        assert!(!momentum.is_present(&values(1.0, "adam")));
        assert!(!momentum.is_present(&values(1.0, "sgd")[..1]), "its other parameter is not there");
    }

    #[test]
    fn a_space_that_contradicts_itself_is_refused() {
        refused(
            vec![param("a", &[("b", &["x".into()])])],
            &[],
            "parameter `a`: expected a parameter of the space in its condition, found `b`",
        );
        refused(
            vec![param("kind", &[]), param("a", &[("kind", &["sdg".into()])])],
            &[],
            "expected a value of `kind` in its condition, found \"sdg\"",
        );
        refused(
            vec![param("kind", &[]), param("a", &[("kind", &[])])],
            &[],
            "expected a value of `kind`, found none",
        );
        let circle = |name, other| param(name, &[(other, &[Json::from(1.0)])]);
        refused(vec![circle("a", "b"), circle("b", "a")], &[], "found a circle among `a`, `b`");
        refused(vec![circle("a", "a")], &[], "found a circle among `a`");
        refused(vec![param("a", &[]), param("a", &[])], &[], "expected one range, found two");
    }

    #[test]
    fn a_constraint_is_about_numbers_of_the_space() {
        refused(vec![param("a", &[])], &["a < 1", "a < b"], "constraint 2: `a < b`: expected a");
        refused(vec![param("a", &[])], &["1 < 2"], "found numbers alone");
        refused(
            vec![param("kind", &[])],
            &["kind < 2"],
            "expected a number for `kind`, found the choice \"sgd\"",
        );
        let relation = Relation::parse("a + b <= 10").expect("a relation");
        let params = vec![param("a", &[]), param("b", &[])];
        let space = DeclaredSpace::new(params, vec![relation]).expect("a space");
        let values = |b: f64| vec![("a".to_owned(), Json::from(5.0)), ("b".to_owned(), b.into())];
        assert_eq!(space.violated(&values(5.0)), None);
        assert_eq!(space.violated(&values(5.5)).map(Relation::text), Some("a + b <= 10"));
        assert_eq!(space.violated(&values(5.5)[..1]), None, "one of its parameters is not there");
    }
}
