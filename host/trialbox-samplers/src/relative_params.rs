//! Joint draws, as simultaneous trials tell each other of them: the values, by name, as one JSON text in the
//! trial's system attributes, cut into slices that Optuna's databases can hold.
//!
//! Python's workers write and read the same (`tpe:relative_params:0`, `:1`, …).

use std::collections::BTreeMap;
use std::str::Split;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{FrozenTrial, Json};

/// The longest text that Optuna's databases hold in an attribute, in characters: the length of a slice.
pub(crate) const SLICE: usize = 2045;

/// Returns the attributes that tell of a joint draw, `params` being internal values by name.
pub(crate) fn to_attrs(
    prefix: &str,
    space: &SearchSpace,
    params: &BTreeMap<String, f64>,
) -> Vec<(String, Json)> {
    let external = space.iter().filter_map(|(name, distribution)| {
        Some((name, distribution.to_external(*params.get(name)?)))
    });
    sliced(prefix, &Json::object(external).to_string())
}

/// Returns the attributes that hold a text of ASCII.
pub(crate) fn sliced(prefix: &str, text: &str) -> Vec<(String, Json)> {
    let slices = text.as_bytes().chunks(SLICE).map(String::from_utf8_lossy);
    let attrs = slices.enumerate();
    attrs.map(|(i, slice)| (format!("{prefix}:{i}"), Json::from(slice.into_owned()))).collect()
}

/// Returns the text that a trial's attributes hold; empty if there are none.
pub(crate) fn joined(prefix: &str, trial: &FrozenTrial) -> String {
    let mut text = String::new();
    for index in 0.. {
        match trial.system_attrs.get(&format!("{prefix}:{index}")).and_then(Json::as_str) {
            Some(slice) if !slice.is_empty() => text.push_str(slice),
            _ => break,
        }
    }
    text
}

/// Returns the words of a text behind its version and its fingerprint; `None` if these are others.
pub(crate) fn words_behind<'a>(
    text: &'a str,
    version: &str,
    fingerprint: u64,
) -> Option<Split<'a, char>> {
    let mut words = text.split(' ');
    let is_same =
        words.next()? == version && u64::from_str_radix(words.next()?, 16).ok()? == fingerprint;
    is_same.then_some(words)
}

/// Returns the external values of a trial's joint draw; `None` if it has none, or if it is read while another
/// process is between two slices.
pub(crate) fn of_trial(prefix: &str, trial: &FrozenTrial) -> Option<Json> {
    let text = joined(prefix, trial);
    Json::parse(&text).ok().filter(|json| matches!(json, Json::Object(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial;
    use trialbox_core::Distribution;

    #[test]
    fn a_draw_goes_through_slices_and_a_torn_one_is_none() {
        let float = Distribution::float(0.0, 1.0, false, None).expect("a range");
        let choices = Distribution::categorical(vec![Json::Null, "ä".into()]).expect("choices");
        let names: Vec<String> =
            (0..100).map(|i| format!("a-long-parameter-name-{i:03}")).collect();
        let space: SearchSpace = names
            .iter()
            .map(|name| (name.clone(), float.clone()))
            .chain([("z".to_owned(), choices)])
            .collect();
        let mut params: BTreeMap<String, f64> =
            names.iter().enumerate().map(|(i, name)| (name.clone(), i as f64 / 128.0)).collect();
        params.insert("z".to_owned(), 1.0);
        let attrs = to_attrs("tpe:relative_params", &space, &params);
        let lengths: Vec<usize> =
            attrs.iter().filter_map(|(_, slice)| Some(slice.as_str()?.len())).collect();
        assert_eq!(lengths[0], SLICE);
        assert_eq!((attrs.len(), &*attrs[1].0), (2, "tpe:relative_params:1"));

        let mut trial = trial(0);
        trial.system_attrs = attrs.into_iter().collect();
        let read = of_trial("tpe:relative_params", &trial).expect("a draw");
        assert_eq!(read.get("a-long-parameter-name-064"), Some(&Json::Float(0.5)));
        assert_eq!(read.get("z"), Some(&Json::from("ä")));

        trial.system_attrs.remove("tpe:relative_params:1");
        assert_eq!(of_trial("tpe:relative_params", &trial), None);
        trial.system_attrs.clear();
        assert_eq!(of_trial("tpe:relative_params", &trial), None);
    }
}
