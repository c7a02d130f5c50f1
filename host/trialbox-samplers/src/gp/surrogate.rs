//! Models of the objective and of the constraints, and what is remembered of their fits from trial to trial.

use super::fit::{Data, Prior, first_guess, fit};
use super::kernel::{Geometry, Hyper};
use super::model::Model;
use super::observed::{Constraint, Observed, best_and_even};
use super::outcomes::{Warp, Warped, finite, standardized};
use crate::relative_params::SLICE;
use trialbox_core::Json;

/// The largest number of points that hyperparameters are fitted to.
const MAX_FITTED: usize = 160;

/// The number of points that a fit from the prior sees: enough to find the right hill, which all points then climb.
const COARSE: usize = 64;

/// The number of trials after which the transformation is chosen anew.
const EVIDENCE_INTERVAL: usize = 10;

/// The number of steps of a fit from the prior.
const COLD: usize = 40;

/// The number of steps of a fit from the last one.
const WARM: usize = 12;

/// The attribute that holds the fits of a trial's suggestion.
pub(crate) const FITS: &str = "trialbox:sampler:gp";

/// The fits of an earlier suggestion: where the next ones start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fits {
    /// The number of finished trials when hyperparameters were last fitted.
    pub(super) n: usize,
    pub(crate) warp: Warp,
    /// The logarithms of the hyperparameters of the objective, then of the constraints.
    pub(super) logs: Vec<Vec<f64>>,
}

impl Fits {
    /// Returns the attribute's value; `None` if it is too long for a database.
    pub(crate) fn to_json(&self) -> Option<Json> {
        let rounded = |log: &f64| Json::from((log * 1e4).round() / 1e4);
        let logs = self.logs.iter().map(|logs| Json::Array(logs.iter().map(rounded).collect()));
        let json = Json::object([
            ("n", Json::from(self.n as i64)),
            ("warp", self.warp.as_str().into()),
            ("logs", Json::Array(logs.collect())),
        ]);
        (json.to_string().len() <= SLICE).then_some(json)
    }

    /// Reads the attribute's value.
    pub(super) fn from_json(json: &Json) -> Option<Fits> {
        let n = usize::try_from(json.get("n")?.as_i64()?).ok()?;
        let warp = Warp::parse(json.get("warp")?.as_str()?)?;
        let Json::Array(all) = json.get("logs")? else { return None };
        let mut logs = Vec::with_capacity(all.len());
        for item in all {
            let Json::Array(numbers) = item else { return None };
            let numbers: Option<Vec<f64>> = numbers.iter().map(Json::as_f64).collect();
            logs.push(numbers?);
        }
        Some(Fits { n, warp, logs })
    }

    /// Returns whether so few trials have finished since that another fit of many is not worth its time.
    fn is_fresh(&self, n: usize) -> bool {
        n > MAX_FITTED && n >= self.n && n < self.n + self.n / 40
    }

    /// Returns the hyperparameters of a model, if they are of this number of groups.
    fn of_model(&self, index: usize, n_groups: usize) -> Option<Hyper> {
        let logs = self.logs.get(index)?;
        let is_usable = logs.len() == n_groups + 2 && logs.iter().all(|log| log.abs() < 20.0);
        is_usable.then(|| Hyper::from_logs(logs))
    }
}

/// A model of a constraint, which is satisfied where the value is at most `limit`.
pub(super) struct ConstraintModel {
    pub(super) model: Model,
    pub(super) limit: f64,
}

/// The models of a study.
pub(super) struct Surrogate {
    pub(super) objective: Model,
    pub(super) constraints: Vec<ConstraintModel>,
    /// The smallest predicted loss among the feasible points; `None` if none is feasible.
    pub(super) best: Option<f64>,
    pub(super) fits: Fits,
}

impl Surrogate {
    /// Fits models to losses and to the constraints. O(n³).
    pub(super) fn new(observed: &Observed, losses: &[f64], previous: Option<&Fits>) -> Surrogate {
        let geometry = &observed.space.geometry;
        let n = observed.n_finished;
        let is_fresh = previous.is_some_and(|previous| previous.is_fresh(n));
        let losses = finite(losses);
        let fitter = Fitter { geometry, points: &observed.points, n, is_fresh, previous };
        let (warp, warped, hyper) = fitter.objective(&losses, !observed.constraints.is_empty());
        let data = Data { geometry, points: &observed.points, outcomes: &warped.values };
        let objective = Model::new(data, &hyper);
        let fitted_at = previous.filter(|_| is_fresh).map_or(n, |previous| previous.n);
        let mut fits = Fits { n: fitted_at, warp, logs: vec![hyper.to_logs()] };
        let mut constraints = Vec::with_capacity(observed.constraints.len());
        for (index, constraint) in observed.constraints.iter().enumerate() {
            let fitter = Fitter { points: &constraint.points, ..fitter };
            let (model, hyper) = constraint_model(fitter, constraint, index + 1);
            constraints.push(model);
            fits.logs.push(hyper.to_logs());
        }
        let feasible = objective.fitted().iter().zip(&observed.is_feasible);
        let feasible = feasible.filter(|(_, is_feasible)| **is_feasible).map(|(fitted, _)| *fitted);
        let best = feasible.fold(None, smaller);
        Surrogate { objective, constraints, best, fits }
    }

    /// Takes a pending point in. Its predicted loss counts as the best one if it is likely to be feasible: without that
    /// condition, one bold point would end the search of the others.
    pub(super) fn add_pending(&mut self, point: &[f64]) {
        let loss = self.objective.add_pending(point).mean;
        let mut is_likely = true;
        for constraint in &mut self.constraints {
            is_likely &= constraint.model.add_pending(point).mean <= constraint.limit;
        }
        if is_likely {
            self.best = smaller(self.best, loss);
        }
    }
}

fn smaller(best: Option<f64>, loss: f64) -> Option<f64> {
    match best {
        Some(best) if best <= loss => Some(best),
        _ => Some(loss),
    }
}

fn constraint_model(
    fitter: Fitter,
    constraint: &Constraint,
    index: usize,
) -> (ConstraintModel, Hyper) {
    let Fitter { geometry, points, .. } = fitter;
    if constraint.is_of_failures {
        let hyper = hyper_of_failures(geometry.n_groups);
        let data = Data { geometry, points, outcomes: &constraint.values };
        return (ConstraintModel { model: Model::new(data, &hyper), limit: 0.0 }, hyper);
    }
    let (mean, deviation, outcomes) = standardized(&finite(&constraint.values));
    let hyper = fitter.hyper(&outcomes, index, false);
    let data = Data { geometry, points, outcomes: &outcomes };
    (ConstraintModel { model: Model::new(data, &hyper), limit: -mean / deviation }, hyper)
}

/// Returns hyperparameters for success and failure, which are not fitted: the likeliest model of a jump has short
/// lengths, and away from all trials it would say no more than how often trials fail.
fn hyper_of_failures(n_groups: usize) -> Hyper {
    Hyper { noise: 0.05, ..first_guess(n_groups) }
}

/// The points of a fit, and the fit before it.
#[derive(Clone, Copy)]
struct Fitter<'a> {
    geometry: &'a Geometry,
    points: &'a [f64],
    /// The number of finished trials.
    n: usize,
    /// True if the last fit is good enough.
    is_fresh: bool,
    previous: Option<&'a Fits>,
}

impl Fitter<'_> {
    /// Returns the transformation with the most evidence, the outcomes by it, and the hyperparameters.
    fn objective(&self, losses: &[f64], is_constrained: bool) -> (Warp, Warped, Hyper) {
        // A rank among infeasible trials says nothing about feasible ones.
        if is_constrained || losses.len() < EVIDENCE_INTERVAL {
            let warped = Warped::new(losses, Warp::Standard);
            let hyper = self.hyper(&warped.values, 0, false);
            return (Warp::Standard, warped, hyper);
        }
        if let Some(previous) = self.previous
            && (self.is_fresh || previous.n / EVIDENCE_INTERVAL == self.n / EVIDENCE_INTERVAL)
        {
            let warped = Warped::new(losses, previous.warp);
            let hyper = self.hyper(&warped.values, 0, false);
            return (previous.warp, warped, hyper);
        }
        let mut best: Option<(f64, (Warp, Warped))> = None;
        for warp in Warp::ALL {
            let warped = Warped::new(losses, warp);
            let hyper = self.coarse(&warped.values, 0);
            let evidence = self.evidence(&warped, &hyper);
            if best.as_ref().is_none_or(|(most, _)| evidence > *most) {
                best = Some((evidence, (warp, warped)));
            }
        }
        match best {
            Some((_, (warp, warped))) => {
                let hyper = self.hyper(&warped.values, 0, true);
                (warp, warped, hyper)
            }
            None => (Warp::Standard, Warped::new(losses, Warp::Standard), self.guess(0)),
        }
    }

    /// Returns the evidence for a transformation, from a part of many points.
    fn evidence(&self, warped: &Warped, hyper: &Hyper) -> f64 {
        let data = Data { geometry: self.geometry, points: self.points, outcomes: &warped.values };
        let model = Model::new(data, hyper);
        warped.evidence(&model.leave_one_out(&warped.values))
    }

    /// Returns where to start: at the last fit, or at the prior's mode.
    fn guess(&self, index: usize) -> Hyper {
        let n_groups = self.geometry.n_groups;
        let last = self.previous.and_then(|previous| previous.of_model(index, n_groups));
        last.unwrap_or_else(|| first_guess(n_groups))
    }

    /// Fits the hyperparameters of model `index`; from the prior too if `is_thorough`.
    fn hyper(&self, outcomes: &[f64], index: usize, is_thorough: bool) -> Hyper {
        let n_groups = self.geometry.n_groups;
        let last = self.previous.and_then(|previous| previous.of_model(index, n_groups));
        if self.is_fresh
            && let Some(hyper) = last
        {
            return hyper;
        }
        let (points, chosen) = self.subset(outcomes, MAX_FITTED);
        let data = Data { geometry: self.geometry, points: &points, outcomes: &chosen };
        let prior = Prior::ScaledByDimension;
        let warm = last.map(|hyper| fit(data, prior, &hyper, WARM));
        match warm {
            Some((hyper, density)) if !is_thorough && density.is_finite() => hyper,
            Some((hyper, density)) => {
                let cold = fit(data, prior, &self.coarse(outcomes, index), WARM);
                if cold.1 > density { cold.0 } else { hyper }
            }
            None => fit(data, prior, &self.coarse(outcomes, index), WARM).0,
        }
    }

    /// Fits the hyperparameters of model `index` to a few points, from the prior's mode and from the last fit.
    fn coarse(&self, outcomes: &[f64], index: usize) -> Hyper {
        let (points, outcomes) = self.subset(outcomes, COARSE);
        let data = Data { geometry: self.geometry, points: &points, outcomes: &outcomes };
        let n_groups = self.geometry.n_groups;
        let prior = Prior::ScaledByDimension;
        let cold = fit(data, prior, &first_guess(n_groups), COLD);
        let last = self.previous.and_then(|previous| previous.of_model(index, n_groups));
        let warm = last.map(|hyper| fit(data, prior, &hyper, WARM));
        match warm {
            Some((hyper, density)) if density > cold.1 => hyper,
            _ => cold.0,
        }
    }

    /// Returns at most `limit` points and their outcomes, to fit hyperparameters to.
    fn subset(&self, outcomes: &[f64], limit: usize) -> (Vec<f64>, Vec<f64>) {
        let (n, width) = (outcomes.len(), self.geometry.width());
        if n <= limit {
            return (self.points.to_vec(), outcomes.to_vec());
        }
        let is_chosen = best_and_even(n, limit, |a, b| outcomes[a].total_cmp(&outcomes[b]));
        let (mut points, mut chosen) = (Vec::new(), Vec::new());
        for i in (0..n).filter(|i| is_chosen[*i]) {
            points.extend_from_slice(&self.points[i * width..(i + 1) * width]);
            chosen.push(outcomes[i]);
        }
        (points, chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_are_read_as_they_were_written_and_nothing_else_is() {
        let fits = Fits { n: 12, warp: Warp::HalfRank, logs: vec![vec![0.5, -1.25], vec![2.0]] };
        let text = fits.to_json().expect("short enough").to_string();
        assert_eq!(Fits::from_json(&Json::parse(&text).expect("JSON")), Some(fits.clone()));
        for text in ["null", "[]", r#"{"n": -1, "warp": "standard", "logs": []}"#] {
            assert_eq!(Fits::from_json(&Json::parse(text).expect("JSON")), None, "{text}");
        }
        let long = Fits { logs: vec![vec![-1.2345; 300]], ..fits };
        assert_eq!(long.to_json(), None);
    }
}
