//! Suggestions of a declared space: all parameters that the trial has, at a point that its constraints allow.

use crate::session::TrialSession;
use crate::session::aborted::CallAborted;
use crate::space::declared::DeclaredSpace;
use crate::study::failure::{Failure, FailureCode};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// The number of draws after which a trial fails for want of a point that the constraints allow.
const MAX_DRAWS: usize = 500;

/// The point that was drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum DrawnPoint {
    /// The parameters that the trial has, external and by name.
    Allowed(Vec<(String, Json)>),
    /// The constraints exclude the point, and the sampler, which visits each point of a finite search, has no other for
    /// this trial. The text says which one.
    Excluded(String),
}

impl TrialSession<'_> {
    /// Suggests the parameters of a space. A point that a constraint excludes is drawn again, each parameter then by
    /// itself.
    ///
    /// # Errors
    /// As a suggestion, and if values that are fixed, or all points that were drawn, violate a constraint.
    pub fn suggest_space(&mut self, space: &DeclaredSpace) -> Result<DrawnPoint, CallAborted> {
        // A retry and a replay have their values already.
        let is_given = !self.params.values.is_empty();
        let can_redraw = !self.context.sampler.is_finite();
        for left in (0..MAX_DRAWS).rev() {
            let before = (self.params.mark(), self.budget.n_bytes());
            let n_written = self.writes.batch.params.len();
            let values = self.suggest_present(space)?;
            let Some(relation) = space.violated(&values).filter(|_| !is_given) else {
                return Ok(DrawnPoint::Allowed(values));
            };
            let point: Vec<String> = relation
                .params()
                .iter()
                .filter_map(|name| values.iter().find(|(known, _)| known == name))
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            let text =
                format!("the constraint `{relation}` does not hold for {}", point.join(", "));
            if !can_redraw && self.params.fixed.is_empty() {
                return Ok(DrawnPoint::Excluded(text));
            }
            if !can_redraw || left == 0 {
                return Err(CallAborted::Fail(self.no_point(&text)));
            }
            self.params.rewind(before.0);
            self.budget.rewind(before.1);
            self.writes.batch.params.truncate(n_written);
            // The joint draw of a sampler would be the same point again.
            self.params.joint = Some(BTreeMap::new());
        }
        unreachable!("the last draw returns")
    }

    fn no_point(&self, text: &str) -> Failure {
        if self.params.fixed.is_empty() {
            let message =
                format!("in {MAX_DRAWS} draws no point was found that is allowed: {text}");
            return Failure::new(FailureCode::Suggest, message)
                .with_help("choose ranges of which the constraints exclude less");
        }
        Failure::new(FailureCode::FixedParam, format!("with the values that are fixed {text}"))
    }

    /// Suggests the parameters whose conditions are true, in their order.
    fn suggest_present(
        &mut self,
        space: &DeclaredSpace,
    ) -> Result<Vec<(String, Json)>, CallAborted> {
        let mut values = Vec::with_capacity(space.params().len());
        for param in space.params() {
            if param.is_present(&values) {
                let internal = self.suggest(&param.name, param.distribution.clone())?;
                values.push((param.name.clone(), param.distribution.to_external(internal)));
            }
        }
        Ok(values)
    }
}
