//! The program whose end is the snapshot: it imports what objectives import, and trialbox's own modules.

use crate::wire::digest::hex;
use sha2::{Digest as _, Sha256};

/// The text of the program.
const RECIPE: &str = include_str!("../../../../../guest-sdk/python/snapshot/recipe.py");

/// The name of its file.
const FILE: &str = "recipe.py";

/// A recipe for a snapshot.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The files by their paths, with their texts.
    files: Vec<(String, String)>,
}

impl Recipe {
    /// Returns the recipe with these modules, by their paths below a folder of Python's search path.
    pub fn new<'a>(modules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let modules = modules.into_iter().chain([(FILE, RECIPE)]);
        Recipe { files: modules.map(|(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    /// Returns the paths and texts of the files.
    pub(super) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Returns text that differs for other recipes.
    pub(super) fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in self.files.iter().flat_map(|(path, text)| [path, text]) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        hex(&digest.finalize())[..16].to_owned()
    }
}
