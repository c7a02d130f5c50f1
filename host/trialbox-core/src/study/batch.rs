//! A batch: additions to a running trial in one transaction.

use crate::study::trial::Param;
use crate::value::json::Json;

/// Additions to a running trial, written in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialBatch {
    /// New parameters, in the order in which they were suggested.
    pub params: Vec<(String, Param)>,
    /// Reported values by step; a later value of a step replaces an earlier one.
    pub intermediate_values: Vec<(i64, f64)>,
    /// The objective's attributes; a later value of a key replaces an earlier one.
    pub user_attrs: Vec<(String, Json)>,
    /// Attributes of samplers, pruners and trialbox; a later value of a key replaces an earlier one.
    pub system_attrs: Vec<(String, Json)>,
}

impl TrialBatch {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
            && self.intermediate_values.is_empty()
            && self.user_attrs.is_empty()
            && self.system_attrs.is_empty()
    }
}
