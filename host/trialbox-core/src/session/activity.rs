//! The account of what an objective did, besides its parameters and reports.

use crate::session::transcript::Transcript;
use crate::study::provenance::Answers;
use crate::study::usage::Usage;
use crate::value::json::Json;
use std::collections::BTreeMap;

/// The attributes, constraints, log and usage of a trial, and the answers that it got.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// The user attributes.
    pub(crate) user_attrs: BTreeMap<String, Json>,
    /// The constraints, in the order in which they were first set.
    pub(crate) constraints: Vec<(String, f64)>,
    /// The lines that were logged and printed.
    pub(crate) transcript: Transcript,
    /// The resources that were used.
    pub(crate) usage: Usage,
    /// The packages that the objective imported, with their versions, if it told them.
    pub(crate) packages: Option<Json>,
    /// The pruner's answers.
    pub(crate) answers: Answers,
    /// True if the objective has left more than the attempt before it.
    pub(crate) made_progress: bool,
}

impl Activity {
    pub(crate) fn new(transcript: Transcript) -> Self {
        Activity { transcript, ..Activity::default() }
    }

    /// Returns the size of a user attribute that is already set, approximately.
    pub(crate) fn attr_bytes(&self, key: &str) -> u64 {
        match self.user_attrs.get(key) {
            Some(value) => (key.len() + value.to_string().len()) as u64,
            None => 0,
        }
    }

    /// Sets a constraint. The last value of a name stays.
    pub(crate) fn set_constraint(&mut self, name: &str, value: f64) {
        match self.constraints.iter_mut().find(|(found, _)| found == name) {
            Some((_, found)) => *found = value,
            None => self.constraints.push((name.to_owned(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_keep_their_order_and_their_last_value() {
        let mut activity = Activity::default();
        for (name, value) in [("b", 1.0), ("a", 2.0), ("b", 3.0)] {
            activity.set_constraint(name, value);
        }
        assert_eq!(activity.constraints, [("b".to_owned(), 3.0), ("a".to_owned(), 2.0)]);
    }

    #[test]
    fn an_attribute_takes_its_key_and_its_text() {
        let mut activity = Activity::default();
        activity.user_attrs.insert("key".to_owned(), Json::from("é"));
        assert_eq!(activity.attr_bytes("other"), 0);
        let text = Json::from("é").to_string();
        assert_eq!(activity.attr_bytes("key"), 3 + text.len() as u64);
    }
}
