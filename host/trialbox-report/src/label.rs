//! Names for people.

use trialbox_core::value::text::{one_line, shorten};

/// The longest name of a parameter or an objective in a text for people, in characters.
const MAX_LABEL_CHARS: usize = 60;

/// Returns a name for people: on one line, and short. Data keeps it as it is.
pub(crate) fn label(name: &str) -> String {
    shorten(&one_line(name), MAX_LABEL_CHARS)
}
