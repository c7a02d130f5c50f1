//! All that an objective did in one trial, in order, and the first thing in which two runs of it differ.

use crate::run::FinishedTrial;
use crate::session::event::Event;
use crate::space::distribution::Distribution;
use crate::value::json::Json;
use crate::value::text::shorten;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The number of calls that are kept. A longer run is compared up to there, and by its end.
const MAX_ACTS: usize = 100_000;

/// The length at which a value that differs is cut.
const MAX_SHOWN_CHARS: usize = 200;

/// The first thing in which two runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The event that differs, such as "the report at step 3".
    pub what: String,
    /// Its value in the first run, or in the study.
    pub was: String,
    /// Its value in the other run.
    pub is: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [was, is] = [&self.was, &self.is].map(|text| shorten(text, MAX_SHOWN_CHARS));
        write!(f, "{} was {was} and is {is}", self.what)
    }
}

/// The events of one trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    acts: Vec<Act>,
    calls: u64,
    end: Option<End>,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Suggested {
        name: String,
        distribution: Distribution,
        internal: f64,
    },
    Reported {
        step: i64,
        value: f64,
    },
    Judged,
    /// Of the value the beginning, and a hash of all of it: an objective may set large values as often as it likes.
    Attached {
        key: String,
        beginning: String,
        hash: u64,
    },
    Constrained {
        name: String,
        value: f64,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct End {
    state: &'static str,
    values: Vec<f64>,
    failure: Option<String>,
}

impl Trace {
    /// Takes an event. Lines of the log are not results, and are left out.
    pub fn observe(&mut self, event: &Event) {
        let act = match event {
            Event::Suggested { name, param } => Act::Suggested {
                name: (*name).to_owned(),
                distribution: param.distribution.clone(),
                internal: param.internal,
            },
            Event::Reported { step, value } => Act::Reported { step: *step, value: *value },
            Event::Judged { .. } => Act::Judged,
            Event::Attached { key, value } => {
                let text = value.to_string();
                // `DefaultHasher::new` has fixed keys: equal texts have equal hashes in both runs.
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                let beginning = text.chars().take(MAX_SHOWN_CHARS).collect();
                Act::Attached { key: (*key).to_owned(), beginning, hash: hasher.finish() }
            }
            Event::Constrained { name, value } => {
                Act::Constrained { name: (*name).to_owned(), value: *value }
            }
            Event::Begun(_) | Event::Logged(_) => return,
        };
        // Counted beyond the bound too, so that longer runs still differ by their number of calls.
        self.calls += 1;
        if self.acts.len() < MAX_ACTS {
            self.acts.push(act);
        }
    }

    /// Takes how the trial ended.
    pub fn finish(&mut self, trial: &FinishedTrial) {
        let failure = trial.failure.as_ref();
        self.end = Some(End {
            state: trial.state.as_str(),
            values: trial.values.clone(),
            failure: failure.map(|failure| format!("{}: {}", failure.code, failure.message)),
        });
    }

    /// Returns the number of calls that are compared: suggests, reports, questions to the pruner, attributes
    /// and constraints.
    pub fn n_calls(&self) -> u64 {
        self.calls
    }

    /// The first thing in which another run of the same trial differs from this one, to the bit.
    pub fn first_difference(&self, other: &Trace) -> Option<Difference> {
        let acts = self.acts.iter().zip(&other.acts).enumerate();
        let differing = acts.into_iter().find_map(|(index, (was, is))| was.difference(is, index));
        differing
            .or_else(|| self.difference_in_length(other))
            .or_else(|| self.difference_at_end(other))
    }

    fn difference_in_length(&self, other: &Trace) -> Option<Difference> {
        if self.calls == other.calls {
            return None;
        }
        let common = self.acts.len().min(other.acts.len());
        // Both runs went beyond the bound, so that no single call can be named.
        if self.acts.len() == other.acts.len() {
            let (was, is) = (self.calls.to_string(), other.calls.to_string());
            return Some(Difference { what: "the number of calls".to_owned(), was, is });
        }
        let what = format!("call {}", common + 1);
        Some(Difference { what, was: self.show_act(common), is: other.show_act(common) })
    }

    fn show_act(&self, index: usize) -> String {
        match self.acts.get(index) {
            Some(act) => act.to_string(),
            None => "the end".to_owned(),
        }
    }

    fn difference_at_end(&self, other: &Trace) -> Option<Difference> {
        let (was, is) = (self.end.as_ref()?, other.end.as_ref()?);
        let several = was.values.len() > 1;
        for (index, (was, is)) in was.values.iter().zip(&is.values).enumerate() {
            let what = if several { format!("value {index}") } else { "the value".to_owned() };
            let difference = float_difference(&what, *was, *is);
            if difference.is_some() {
                return difference;
            }
        }
        // Not `was == is`, to which two equal NaNs would differ.
        if was.state == is.state && was.failure == is.failure && was.values.len() == is.values.len()
        {
            return None;
        }
        let what = "how the trial ended".to_owned();
        Some(Difference { what, was: was.to_string(), is: is.to_string() })
    }
}

impl Act {
    fn difference(&self, other: &Act, index: usize) -> Option<Difference> {
        match (self, other) {
            (Act::Reported { step, value: was }, Act::Reported { step: same, value: is })
                if step == same =>
            {
                float_difference(&format!("the report at step {step}"), *was, *is)
            }
            (Act::Constrained { name, value: was }, Act::Constrained { name: same, value: is })
                if name == same =>
            {
                float_difference(&format!("constraint `{name}`"), *was, *is)
            }
            (
                Act::Attached { key, beginning: was, .. },
                Act::Attached { key: same, beginning: is, .. },
            ) if key == same && self != other => {
                let what = format!("user attribute `{key}`");
                Some(Difference { what, was: was.clone(), is: is.clone() })
            }
            (was, is) if was != is => Some(Difference {
                what: format!("call {}", index + 1),
                was: was.to_string(),
                is: is.to_string(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Suggested { name, distribution, internal } => {
                let value = distribution.to_external(*internal);
                write!(f, "parameter `{name}` = {value} of {distribution}")
            }
            Act::Reported { step, value } => write!(f, "a report of {value} at step {step}"),
            Act::Judged => f.write_str("a question to the pruner"),
            Act::Attached { key, beginning, .. } => {
                write!(f, "user attribute `{key}` = {beginning}")
            }
            Act::Constrained { name, value } => write!(f, "constraint `{name}` = {value}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, values, failure } = self;
        f.write_str(state)?;
        if !values.is_empty() {
            write!(f, " with {} values", values.len())?;
        }
        failure.iter().try_for_each(|failure| write!(f, " ({failure})"))
    }
}

/// Two floats that have not the same bits.
pub(crate) fn float_difference(what: &str, was: f64, is: f64) -> Option<Difference> {
    if was.to_bits() == is.to_bits() {
        return None;
    }
    Some(Difference { what: what.to_owned(), was: show_bits(was), is: show_bits(is) })
}

fn show_bits(value: f64) -> String {
    format!("{} (0x{:016x})", Json::Float(value), value.to_bits())
}
