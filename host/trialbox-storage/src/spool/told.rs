//! Results that were told while the database could not be read: what `tell` would have done, for later.

use trialbox_core::run::ask_tell::Tell;
use trialbox_core::seam::storage::TrialBatch;
use trialbox_core::study::trial::{format_datetime, parse_datetime};
use trialbox_core::{Json, TrialNumber, TrialState, UtcDateTime};

/// A result that was told and is not recorded yet.
#[derive(Debug, Clone, PartialEq)]
pub struct SpooledTell {
    /// The study's name; `None` for the only one of the database.
    pub study: Option<String>,
    /// The trial's number.
    pub number: TrialNumber,
    /// The result. Its batch holds intermediate values and user attributes.
    pub tell: Tell,
    /// The constraints, whose form only the study knows.
    pub constraints: Vec<(String, f64)>,
    /// The time at which it was told.
    pub at: UtcDateTime,
}

impl SpooledTell {
    /// Returns the members of the file's object.
    pub(super) fn to_members(&self) -> Vec<(&'static str, Json)> {
        let Tell { values, no_value, state, owner, batch, reason, skip_if_finished } = &self.tell;
        let text = |text: &Option<String>| text.as_deref().map_or(Json::Null, Json::from);
        let pair = |a: Json, b: Json| Json::Array(vec![a, b]);
        let steps = &batch.intermediate_values;
        let steps = steps.iter().map(|(step, value)| pair((*step).into(), (*value).into()));
        let constraints = self
            .constraints
            .iter()
            .map(|(name, value)| pair(name.as_str().into(), (*value).into()));
        vec![
            ("study", text(&self.study)),
            ("told", Json::from(self.number.0)),
            ("values", Json::Array(values.iter().copied().map(Json::from).collect())),
            ("no_value", text(no_value)),
            ("state", state.map_or(Json::Null, |state| Json::from(state.as_str()))),
            ("token", text(owner)),
            ("intermediate_values", Json::Array(steps.collect())),
            ("user_attrs", Json::object(batch.user_attrs.iter().cloned())),
            ("constraints", Json::Array(constraints.collect())),
            ("reason", text(reason)),
            ("skip_if_finished", Json::from(*skip_if_finished)),
            ("at", Json::from(format_datetime(self.at))),
        ]
    }

    /// Reads the object of [`Self::to_members`].
    pub(super) fn from_json(json: &Json) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        let values: Option<Vec<f64>> =
            super::array(json, "values")?.iter().map(Json::as_f64).collect();
        let steps: Option<Vec<(i64, f64)>> =
            super::array(json, "intermediate_values")?.iter().map(super::step).collect();
        let constraints: Option<Vec<(String, f64)>> =
            super::array(json, "constraints")?.iter().map(constraint).collect();
        let state = match text("state") {
            Some(state) => Some(TrialState::parse(&state)?),
            None => None,
        };
        Some(SpooledTell {
            study: text("study"),
            number: TrialNumber(json.get("told")?.as_i64()?.try_into().ok()?),
            tell: Tell {
                values: values?,
                no_value: text("no_value"),
                state,
                owner: text("token"),
                batch: TrialBatch {
                    intermediate_values: steps?,
                    user_attrs: super::members(json, "user_attrs")?,
                    ..TrialBatch::default()
                },
                reason: text("reason"),
                skip_if_finished: matches!(json.get("skip_if_finished"), Some(Json::Bool(true))),
            },
            constraints: constraints?,
            at: parse_datetime(&text("at")?)?,
        })
    }
}

fn constraint(json: &Json) -> Option<(String, f64)> {
    let Json::Array(parts) = json else { return None };
    let [name, value] = &parts[..] else { return None };
    Some((name.as_str()?.to_owned(), value.as_f64()?))
}
