//! A program's command line, in which the trial's parameters may stand.

use crate::interpreter::{Script, interpreter_name, is_wrapper, script_of};
use crate::placeholder::{Piece, pieces};
use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use trialbox_core::Json;
use trialbox_core::space::declared::{DeclaredParam, DeclaredSpace};

/// A command, and the parameters that are suggested before it starts.
#[derive(Debug, Clone)]
pub struct CommandLine {
    words: Vec<OsString>,
    space: DeclaredSpace,
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
    /// A parameter that some trials lack stands in the middle of a text.
    #[error(
        "expected `{{{name}}}`, which not every trial has, as a word or as the value of a flag such as \
         --{name}={{{name}}}, found `{word}`"
    )]
    InText {
        /// The parameter's name.
        name: String,
        /// The word.
        word: String,
    },
    /// A name in braces is not a parameter.
    #[error("the command has {{{found}}}, and the space has no parameter `{found}`")]
    UnknownPlaceholder {
        /// The text in the braces.
        found: String,
    },
}

/// The start of the names of environment variables that hold parameters.
const PARAM_VARIABLE: &str = "TRIALBOX_PARAM_";

impl CommandLine {
    /// Creates the command of these words. In each word `{name}` stands for the value of a parameter of `space`. Where
    /// a trial lacks the parameter, its word is left out, and a flag before it too.
    ///
    /// # Errors
    /// Fails without a word, if two parameters would have the same environment variable, if a parameter that some
    /// trials lack stands in the middle of a text, and if a name in braces is not a parameter.
    pub fn new(words: Vec<OsString>, space: DeclaredSpace) -> Result<Self, CommandLineError> {
        if words.is_empty() {
            return Err(CommandLineError::Empty);
        }
        check_variables(&space)?;
        for param in space.params().iter().filter(|param| !param.when.is_empty()) {
            check_places(param, &words)?;
        }
        let names: Vec<&str> = space.params().iter().map(|param| param.name.as_str()).collect();
        for word in &words {
            let pieces = pieces(word.as_bytes(), &names);
            if let Some(Piece::Unknown(found)) =
                pieces.iter().find(|piece| matches!(piece, Piece::Unknown(_)))
            {
                return Err(CommandLineError::UnknownPlaceholder { found: (*found).to_owned() });
            }
        }
        Ok(CommandLine { words, space })
    }

    /// Returns the parameters that are suggested before the program starts.
    pub fn space(&self) -> &DeclaredSpace {
        &self.space
    }

    /// Returns the program's name or path.
    pub fn program(&self) -> &OsStr {
        &self.words[0]
    }

    /// Returns the file that is executed, if there is one.
    pub fn executable(&self) -> Option<PathBuf> {
        find_program(self.program(), std::env::var_os("PATH").as_deref())
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

    /// Returns a name for the command: that of its script or module, else of its program; `None` where the command has
    /// nothing but the name of an interpreter, which many commands have.
    pub fn name(&self) -> Option<String> {
        match script_of(&self.words) {
            Some(Script::File(path)) => Some(file_stem(&path)),
            Some(Script::Module(name)) => Some(name),
            Some(Script::Other) => None,
            None => {
                Some(file_stem(self.program().as_ref())).filter(|_| !is_wrapper(self.program()))
            }
        }
    }

    /// Returns the script that the command gives to an interpreter and that is not there. Other programs may see other
    /// files, as those in a container do.
    pub fn missing_script(&self) -> Option<PathBuf> {
        interpreter_name(&self.words)?;
        match script_of(&self.words)? {
            Script::File(path) => Some(path).filter(|path| !path.exists()),
            Script::Module(_) | Script::Other => None,
        }
    }

    /// Returns the program without its folder and its version, and the script without its folder: what stays the same
    /// while a user works on a program, such as `python train.py`.
    pub fn identity(&self) -> String {
        let program = interpreter_name(&self.words)
            .map_or_else(|| file_name(self.program().as_ref()), str::to_owned);
        match script_of(&self.words) {
            Some(Script::File(path)) => format!("{program} {}", file_name(&path)),
            Some(Script::Module(name)) => format!("{program} -m {name}"),
            Some(Script::Other) | None => program,
        }
    }

    /// Returns the words with the values of parameters in place of their names. Other braces stay as they are.
    pub(crate) fn words(&self, params: &[(String, Json)]) -> Vec<OsString> {
        // Where a script is asked for its study, there are no values yet.
        let is_absent = |param: &&DeclaredParam| {
            !param.when.is_empty() && !params.iter().any(|(name, _)| *name == param.name)
        };
        let absent: Vec<&DeclaredParam> = self.space.params().iter().filter(is_absent).collect();
        let mut words: Vec<OsString> = Vec::with_capacity(self.words.len());
        for word in &self.words {
            match absent.iter().find_map(|param| Place::of(&param.name, word)) {
                None | Some(Place::InText) => words.push(fill(word, params)),
                Some(Place::OfFlag) => {}
                Some(Place::Alone) => drop(words.pop_if(|flag| is_flag_without_value(flag))),
            }
        }
        words
    }
}

/// The place of a parameter in a word.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// `{name}`.
    Alone,
    /// `--flag={name}`.
    OfFlag,
    /// Any other, such as a script for `sh -c`.
    InText,
}

impl Place {
    /// Returns the place of a parameter in a word, if it is there.
    fn of(name: &str, word: &OsStr) -> Option<Place> {
        let (word, placeholder) = (word.to_string_lossy(), format!("{{{name}}}"));
        if !word.contains(&placeholder) {
            return None;
        }
        let is_of_flag = word.starts_with('-')
            && word.split_once('=').is_some_and(|(_, value)| value == placeholder);
        Some(match *word == placeholder {
            true => Place::Alone,
            false if is_of_flag => Place::OfFlag,
            false => Place::InText,
        })
    }
}

fn is_flag_without_value(word: &OsStr) -> bool {
    let word = word.as_bytes();
    word.len() > 1 && word[0] == b'-' && word != b"--" && !word.contains(&b'=')
}

/// Checks that each parameter of a space has a variable of its own.
///
/// # Errors
/// [`CommandLineError::SameVariable`].
pub fn check_variables(space: &DeclaredSpace) -> Result<(), CommandLineError> {
    for (index, first) in space.params().iter().enumerate() {
        for second in &space.params()[index + 1..] {
            if param_variable(&first.name) == param_variable(&second.name) {
                let (first, second) = (first.name.clone(), second.name.clone());
                return Err(CommandLineError::SameVariable { first, second });
            }
        }
    }
    Ok(())
}

fn check_places(param: &DeclaredParam, words: &[OsString]) -> Result<(), CommandLineError> {
    let is_in_text = |word: &&OsString| Place::of(&param.name, word) == Some(Place::InText);
    // Without the program there is no command.
    let program = words.first().filter(|word| Place::of(&param.name, word).is_some());
    match program.or_else(|| words.iter().find(is_in_text)) {
        None => Ok(()),
        Some(word) => Err(CommandLineError::InText {
            name: param.name.clone(),
            word: word.to_string_lossy().into_owned(),
        }),
    }
}

/// Returns the environment variables that hold parameters, each by its name, and all of them as JSON.
pub fn variables_of(params: &[(String, Json)]) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> =
        params.iter().map(|(name, value)| (param_variable(name), plain(value))).collect();
    let all = Json::Object(params.to_vec());
    variables.push(("TRIALBOX_PARAMS".to_owned(), all.to_string()));
    variables
}

/// Returns the name of the environment variable of a parameter: `TRIALBOX_PARAM_LEARNING_RATE`.
pub fn param_variable(name: &str) -> String {
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

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Finds a program as execvp(3) does: a name without a slash in the folders of `path`.
pub fn find_program(program: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |file: &Path| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if program.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(|file| is_program(file));
    }
    let folders = std::env::split_paths(path?);
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

fn fill(word: &OsStr, params: &[(String, Json)]) -> OsString {
    let names: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    let mut filled = Vec::with_capacity(word.len());
    for piece in pieces(word.as_bytes(), &names) {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text),
            Piece::Param(index) => filled.extend_from_slice(plain(&params[index].1).as_bytes()),
            Piece::Unknown(name) => filled.extend_from_slice(format!("{{{name}}}").as_bytes()),
        }
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::Distribution;
    use trialbox_core::space::declared::Condition;

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
            ("{{k}} {{missing}} {k}", "{k} {missing} 3"),
        ] {
            assert_eq!(fill(OsStr::new(word), &params()), want, "{word}");
        }
    }

    #[test]
    fn each_parameter_has_a_variable() {
        let variables = variables_of(&params());
        assert!(variables.contains(&("TRIALBOX_PARAM_LR".to_owned(), "1e-05".to_owned())));
        let all = "{\"lr\": 1e-05, \"opt\": \"adam{lr}\", \"k\": 3, \"on\": true}";
        assert!(variables.contains(&("TRIALBOX_PARAMS".to_owned(), all.to_owned())));
        assert_eq!(param_variable("layer-1.units"), "TRIALBOX_PARAM_LAYER_1_UNITS");
    }

    #[test]
    fn two_parameters_of_one_variable_are_refused() {
        let space = space(&[("a-b", None), ("A_b", None)]);
        let error = CommandLine::new(vec!["true".into()], space).expect_err("one variable");
        assert!(error.to_string().ends_with("found `a-b` and `A_b`"), "{error}");
        let empty = CommandLine::new(vec![], DeclaredSpace::default());
        assert_eq!(empty.expect_err("no word"), CommandLineError::Empty);
    }

    /// Returns a space of parameters, some of which are there only where another one is 1.
    fn space(params: &[(&str, Option<&str>)]) -> DeclaredSpace {
        let param = |(name, other): &(&str, Option<&str>)| DeclaredParam {
            name: (*name).to_owned(),
            distribution: Distribution::int(0, 9, false, 1).expect("a range"),
            when: other
                .map(|param| Condition { param: param.to_owned(), values: vec![1i64.into()] })
                .into_iter()
                .collect(),
        };
        DeclaredSpace::new(params.iter().map(param).collect(), vec![]).expect("a space")
    }

    #[test]
    fn the_word_and_the_flag_of_a_parameter_that_a_trial_lacks_are_left_out() {
        let words = ["run", "-v", "--m={m}", "--m", "{m}", "--k", "{k}", "--", "{m}", "{{other}}"];
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let line =
            CommandLine::new(words, space(&[("k", None), ("m", Some("k"))])).expect("a line");
        let one = ("k".to_owned(), Json::from(1i64));
        let both = [one.clone(), ("m".to_owned(), Json::from(5i64))];
        let with = ["run", "-v", "--m=5", "--m", "5", "--k", "1", "--", "5", "{other}"];
        assert_eq!(line.words(&both), with);
        assert_eq!(line.words(&[one]), ["run", "-v", "--k", "1", "--", "{other}"]);
    }

    #[test]
    fn a_parameter_that_some_trials_lack_stands_in_no_text() {
        for (word, is_fine) in [
            ("{m}", true),
            ("-m={m}", true),
            ("--m=0{m}", false),
            ("train --m {m}", false),
            ("m={m}", false),
            ("{k}", true),
        ] {
            let words = vec!["sh".into(), word.into()];
            let line = CommandLine::new(words, space(&[("k", None), ("m", Some("k"))]));
            assert_eq!(line.is_ok(), is_fine, "{word}");
        }
        let line = CommandLine::new(vec!["{m}".into()], space(&[("k", None), ("m", Some("k"))]));
        let error = line.expect_err("the program").to_string();
        assert!(error.contains("such as --m={m}, found `{m}`"), "{error}");
    }

    #[test]
    fn a_placeholder_without_a_parameter_is_refused() {
        let command =
            |word: &str| CommandLine::new(vec!["true".into(), word.into()], space(&[("lr", None)]));
        let error = command("--lr={Lr}").expect_err("a misspelling");
        assert_eq!(error.to_string(), "the command has {Lr}, and the space has no parameter `Lr`");
        assert!(command("--lr={{Lr}}").is_ok());
    }

    #[test]
    fn a_command_is_known_by_its_program_and_its_script() {
        for (command, identity, name) in [
            ("/usr/bin/python3 -u src/train.py --lr 1", "python train.py", Some("train")),
            ("python -m pkg.train", "python -m pkg.train", Some("pkg.train")),
            ("python3.11 -", "python", None),
            ("sh -c exit", "sh", None),
            ("srun -n 2 python train.py", "python train.py", Some("train")),
            ("torchrun --standalone train.py", "torchrun train.py", Some("train")),
            ("./simulate input.nml", "simulate", Some("simulate")),
            ("srun simulate", "srun", None),
        ] {
            let words = command.split(' ').map(OsString::from).collect();
            let found = CommandLine::new(words, DeclaredSpace::default()).expect("a command");
            assert_eq!(found.identity(), identity, "{command}");
            assert_eq!(found.name().as_deref(), name, "{command}");
        }
    }

    #[test]
    fn a_program_is_found_by_name_or_path() {
        let path = Some(OsStr::new("/nowhere:/bin:/usr/bin"));
        assert_eq!(find_program(OsStr::new("sh"), path), Some(PathBuf::from("/bin/sh")));
        let by_path = find_program(OsStr::new("/bin/sh"), None);
        assert_eq!(by_path, Some(PathBuf::from("/bin/sh")));
        assert_eq!(find_program(OsStr::new("/nowhere/sh"), path), None);
        assert_eq!(find_program(OsStr::new(""), path), None);
        assert_eq!(find_program(OsStr::new("no-such-program"), path), None);
        assert_eq!(find_program(OsStr::new("sh"), None), None);
        assert_eq!(find_program(OsStr::new("/etc"), None), None);
        assert_eq!(find_program(OsStr::new("/etc/passwd"), None), None);
    }
}
