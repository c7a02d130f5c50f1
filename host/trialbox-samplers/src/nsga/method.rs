//! The list of crossovers.

/// A way to make a child of parents. Optuna has a class for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Crossover {
    /// Each parameter from one of the parents.
    #[default]
    Uniform,
    /// A point of the box around two parents (Eshelman and Schaffer 1992).
    BlxAlpha,
    /// A point of an expanded simplex (Tsutsui, Goldberg and Sastry 2000).
    Spx,
    /// Simulated binary crossover (Deb and Agrawal 1995).
    Sbx,
    /// Its variant that also reaches beyond the parents (Ballester and Carter 2001).
    Vsbx,
    /// Normal around the line of two parents, as wide as the third is away from it (Kita, Ono and Kobayashi 1999).
    Undx,
}

/// The words of the option, with what they mean.
const WORDS: [(&str, Crossover); 6] = [
    ("uniform", Crossover::Uniform),
    ("blxalpha", Crossover::BlxAlpha),
    ("spx", Crossover::Spx),
    ("sbx", Crossover::Sbx),
    ("vsbx", Crossover::Vsbx),
    ("undx", Crossover::Undx),
];

impl Crossover {
    /// Returns the word of the option.
    pub(super) fn as_str(self) -> &'static str {
        let found = WORDS.iter().find(|(_, crossover)| *crossover == self);
        found.map_or("", |(word, _)| word)
    }

    /// Reads the word.
    pub(super) fn parse(text: &str) -> Option<Self> {
        WORDS.iter().find(|(word, _)| *word == text).map(|(_, crossover)| *crossover)
    }

    /// Returns the words in a sentence.
    pub(super) fn words() -> String {
        crate::config::in_words(&WORDS.map(|(word, _)| word.to_owned()))
    }

    /// Returns the number of parents of a child.
    pub(super) fn n_parents(self) -> usize {
        match self {
            Crossover::Spx | Crossover::Undx => 3,
            _ => 2,
        }
    }
}
