//! A program's command line, in which the trial's parameters may stand.

use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use trialbox_core::{Distribution, Json};

/// A command, and the parameters that are suggested before it starts.
#[derive(Debug, Clone)]
pub struct CommandLine {
    words: Vec<OsString>,
    space: Vec<(String, Distribution)>,
}

/// A command that cannot be an objective.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CommandLineError {
    /// There is no word.
    #[error("expected a program, found nothing")]
    Empty,
    /// Two parameters would have the same environment variable.
    #[error(
        "expected parameters that differ in more than punctuation and case, found `{first}` and `{second}`"
    )]
    SameVariable {
        /// The first parameter's name.
        first: String,
        /// The second parameter's name.
        second: String,
    },
}

/// The start of the names of environment variables that hold parameters.
const PARAM_VARIABLE: &str = "TRIALBOX_PARAM_";

impl CommandLine {
    /// Creates the command of these words. In each word `{name}` stands for the value of a parameter of `space`.
    ///
    /// # Errors
    /// Fails without a word, and if two parameters would have the same environment variable.
    pub fn new(
        words: Vec<OsString>,
        space: Vec<(String, Distribution)>,
    ) -> Result<Self, CommandLineError> {
        if words.is_empty() {
            return Err(CommandLineError::Empty);
        }
        for (index, (first, _)) in space.iter().enumerate() {
            for (second, _) in &space[index + 1..] {
                if variable(first) == variable(second) {
                    let (first, second) = (first.clone(), second.clone());
                    return Err(CommandLineError::SameVariable { first, second });
                }
            }
        }
        Ok(CommandLine { words, space })
    }

    /// Returns the parameters that are suggested before the program starts.
    pub fn space(&self) -> &[(String, Distribution)] {
        &self.space
    }

    /// Returns the program's name or path.
    pub fn program(&self) -> &OsStr {
        &self.words[0]
    }

    /// Returns the file that is executed, if there is one.
    pub fn executable(&self) -> Option<PathBuf> {
        find(self.program(), std::env::var_os("PATH").as_deref())
    }

    /// Returns the words as they were given, with placeholders, for people.
    pub fn words_text(&self) -> Vec<String> {
        self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Returns the files that the command names: the program if it is a path, and the arguments that are files with an
    /// extension, such as `train.py` of `python train.py --epochs 3`.
    pub fn files(&self) -> Vec<PathBuf> {
        let is_path = self.program().as_bytes().contains(&b'/');
        let program = is_path.then(|| PathBuf::from(self.program()));
        let arguments = self.words.iter().skip(1).map(PathBuf::from);
        let arguments = arguments.filter(|word| word.extension().is_some());
        program.into_iter().chain(arguments).filter(|word| word.is_file()).collect()
    }

    /// Returns the file that the command most likely is about: the first of [`Self::files`] with an extension, else the
    /// program.
    pub fn main_file(&self) -> PathBuf {
        let mut files = self.files().into_iter();
        let script = files.find(|file| file.extension().is_some());
        script.unwrap_or_else(|| PathBuf::from(self.program()))
    }

    /// Returns the words with the values of parameters in place of their names. Other braces stay as they are.
    pub(crate) fn words(&self, params: &[(String, Json)]) -> Vec<OsString> {
        self.words.iter().map(|word| fill(word, params)).collect()
    }

    /// Returns the environment variables that hold the parameters, each by its name, and all of them as JSON.
    pub(crate) fn variables(params: &[(String, Json)]) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> =
            params.iter().map(|(name, value)| (variable(name), plain(value))).collect();
        let all = Json::Object(params.to_vec());
        variables.push(("TRIALBOX_PARAMS".to_owned(), all.to_string()));
        variables
    }
}

/// Returns the name of the environment variable of a parameter: `TRIALBOX_PARAM_LEARNING_RATE`.
fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(letter).collect();
    format!("{PARAM_VARIABLE}{name}")
}

/// Formats a value as a command line takes it: text without quotation marks, `True` as `true`.
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Finds a program as execvp(3) does: a name without a slash in the folders of `path`.
fn find(program: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |file: &Path| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if program.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(|file| is_program(file));
    }
    let folders = std::env::split_paths(path?);
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

fn fill(word: &OsStr, params: &[(String, Json)]) -> OsString {
    let mut rest = word.as_bytes();
    let mut filled = Vec::with_capacity(rest.len());
    'word: while let Some((first, after)) = rest.split_first() {
        if *first == b'{' {
            for (name, value) in params {
                let found =
                    after.strip_prefix(name.as_bytes()).and_then(|end| end.strip_prefix(b"}"));
                if let Some(end) = found {
                    filled.extend_from_slice(plain(value).as_bytes());
                    rest = end;
                    continue 'word;
                }
            }
        }
        filled.push(*first);
        rest = after;
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Vec<(String, Json)> {
        vec![
            ("lr".to_owned(), Json::Float(1e-5)),
            ("opt".to_owned(), Json::from("adam{lr}")),
            ("k".to_owned(), Json::from(3i64)),
            ("on".to_owned(), Json::Bool(true)),
        ]
    }

    #[test]
    fn parameters_stand_for_their_names_and_other_braces_stay() {
        for (word, want) in [
            ("--lr={lr}", "--lr=1e-05"),
            ("{k}{k}", "33"),
            ("{opt}", "adam{lr}"),
            ("{on}", "true"),
            ("{missing} {print $1} ${lr} {", "{missing} {print $1} $1e-05 {"),
            ("{\"a\": {k}}", "{\"a\": 3}"),
        ] {
            assert_eq!(fill(OsStr::new(word), &params()), want, "{word}");
        }
    }

    #[test]
    fn each_parameter_has_a_variable() {
        let variables = CommandLine::variables(&params());
        assert!(variables.contains(&("TRIALBOX_PARAM_LR".to_owned(), "1e-05".to_owned())));
        let all = "{\"lr\": 1e-05, \"opt\": \"adam{lr}\", \"k\": 3, \"on\": true}";
        assert!(variables.contains(&("TRIALBOX_PARAMS".to_owned(), all.to_owned())));
        assert_eq!(variable("layer-1.units"), "TRIALBOX_PARAM_LAYER_1_UNITS");
    }

    #[test]
    fn two_parameters_of_one_variable_are_refused() {
        let float = Distribution::float(0.0, 1.0, false, None).expect("a range");
        let space = vec![("a-b".to_owned(), float.clone()), ("A_b".to_owned(), float)];
        let error = CommandLine::new(vec!["true".into()], space).expect_err("one variable");
        assert!(error.to_string().ends_with("found `a-b` and `A_b`"), "{error}");
        assert_eq!(CommandLine::new(vec![], vec![]).expect_err("no word"), CommandLineError::Empty);
    }

    #[test]
    fn a_program_is_found_by_name_or_path() {
        let path = Some(OsStr::new("/nowhere:/bin:/usr/bin"));
        assert!(find(OsStr::new("sh"), path).is_some());
        assert!(find(OsStr::new("/bin/sh"), None).is_some());
        assert_eq!(find(OsStr::new("no-such-program"), path), None);
        assert_eq!(find(OsStr::new("sh"), None), None);
        assert_eq!(find(OsStr::new("/etc"), None), None);
        assert_eq!(find(OsStr::new("/etc/passwd"), None), None);
    }
}
