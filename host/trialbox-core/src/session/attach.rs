//! Attributes and constraints: what an objective attaches to its trial.

use crate::session::TrialSession;
use crate::session::aborted::{CallAborted, call_failure, shown_name};
use crate::session::event::Event;
use crate::study::constraint::ConstraintFormat;
use crate::study::failure::FailureCode;
use crate::study::limits::Limit;
use crate::study::trial::CONSTRAINT_PREFIX;
use crate::value::json::Json;

impl TrialSession<'_> {
    /// Attaches a value to the trial.
    ///
    /// # Errors
    /// A value that is not JSON, a key that is too long, or too many keys.
    pub fn set_user_attr(&mut self, key: &str, json: &str) -> Result<(), CallAborted> {
        let code = FailureCode::Budget;
        let what = format!("the text of user attribute `{}` has", shown_name(key));
        // Before the text is parsed: its value takes several times the memory of the text.
        self.budget.check(Limit::AttrLength, code, json.len(), &what)?;
        let value = match Json::parse(json) {
            Ok(value) => value,
            Err(error) => {
                let problem = format!("the value of `{key}` must be JSON, but it is not: {error}");
                return Err(call_failure("set-user-attr", &problem));
            }
        };
        self.budget.check_name(FailureCode::Call, "an attribute's key has", key)?;
        self.budget.replace(self.activity.attr_bytes(key), (key.len() + json.len()) as u64)?;
        (self.observer)(Event::Attached { key, value: &value });
        self.activity.user_attrs.insert(key.to_owned(), value.clone());
        // After the insertion, so that a key that is set again counts once.
        let n_attrs = self.activity.user_attrs.len();
        self.budget.check(Limit::UserAttrs, code, n_attrs, "user attributes:")?;
        self.writes.set_user_attr(key, value);
        Ok(())
    }

    /// Records a constraint, satisfied when its value is <= 0. The last value of a name stays.
    ///
    /// # Errors
    /// NaN, a name that is too long, or too many names.
    pub fn set_constraint(&mut self, name: &str, value: f64) -> Result<(), CallAborted> {
        if value.is_nan() {
            let problem = format!("constraint `{name}` must be a number, but it is NaN");
            return Err(call_failure("set-constraint", &problem));
        }
        let key = format!("{CONSTRAINT_PREFIX}{name}");
        let what = "a constraint's name has, with its prefix,";
        self.budget.check_name(FailureCode::Call, what, &key)?;
        (self.observer)(Event::Constrained { name, value });
        self.activity.set_constraint(name, value);
        let n_constraints = self.activity.constraints.len();
        let code = FailureCode::Budget;
        self.budget.check(Limit::UserAttrs, code, n_constraints, "constraints:")?;
        // A list is only known at the end.
        if self.context.limits.constraint_format == ConstraintFormat::Named {
            self.writes.set_system_attr(&key, Json::Float(value));
        }
        Ok(())
    }
}
