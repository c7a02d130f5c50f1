//! The script of a command whose program is an interpreter: `train.py` of `srun python -u train.py --epochs 3`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The code that an interpreter runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Script {
    /// A file.
    File(PathBuf),
    /// A module of Python's, as in `python -m pkg.train`.
    Module(String),
    /// Text on the command line, standard input, or something that the command does not show.
    Other,
}

/// An interpreter, and the options that come before its script.
struct Interpreter {
    /// The start of its name, which digits and dots may follow.
    name: &'static str,
    /// Letters of options whose next word is the code.
    inline: &'static str,
    /// Letters of options that take the next word.
    with_value: &'static str,
    /// Long options that take the next word.
    long_with_value: &'static [&'static str],
}

const fn shell(name: &'static str) -> Interpreter {
    let long_with_value = &["--rcfile", "--init-file"];
    Interpreter { name, inline: "cs", with_value: "oO", long_with_value }
}

/// The interpreters whose first argument is a file. MATLAB, for one, takes a function.
static INTERPRETERS: [Interpreter; 9] = [
    Interpreter {
        name: "python",
        inline: "c",
        with_value: "WX",
        long_with_value: &["--check-hash-based-pycs"],
    },
    Interpreter { name: "pypy", inline: "c", with_value: "WX", long_with_value: &[] },
    shell("bash"),
    shell("sh"),
    shell("dash"),
    shell("zsh"),
    Interpreter { name: "Rscript", inline: "e", with_value: "", long_with_value: &[] },
    Interpreter {
        name: "julia",
        inline: "eE",
        with_value: "JCLtpHP",
        long_with_value: &["--threads", "--procs", "--load", "--sysimage", "--cpu-target"],
    },
    Interpreter { name: "perl", inline: "eE", with_value: "I", long_with_value: &[] },
];

/// Programs that start the program in their arguments, on the same files.
const WRAPPERS: [&str; 11] = [
    "env", "ionice", "mpiexec", "mpirun", "nice", "nohup", "numactl", "srun", "stdbuf", "taskset",
    "time",
];

/// Extensions of scripts, by which they are found behind programs that are not known here, such as `torchrun`.
const EXTENSIONS: [&str; 7] = ["py", "sh", "R", "r", "jl", "pl", "ipynb"];

/// Returns the code that the interpreter in a command runs; `None` if the command has neither an interpreter nor a
/// script.
pub(crate) fn script_of(words: &[OsString]) -> Option<Script> {
    let Some((interpreter, arguments)) = interpreter_of(words) else {
        let is_path = words.first()?.as_bytes().contains(&b'/');
        let arguments = words.iter().skip(1).filter(|_| !is_path);
        let script = arguments.map(PathBuf::from).find(|path| has_extension(path));
        return script.map(|path| file(path.as_os_str()));
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        // A file that is not UTF-8 is not looked for.
        let Some(text) = argument.to_str() else { return Some(Script::Other) };
        if text == "--" {
            return Some(arguments.next().map_or(Script::Other, |word| file(word)));
        }
        let is_option = text.starts_with(['-', '+']);
        if !is_option {
            return Some(file(argument));
        }
        if text.starts_with("--") {
            if interpreter.long_with_value.contains(&text) {
                arguments.next();
            }
            continue;
        }
        for (index, letter) in text.char_indices().skip(1) {
            let rest = &text[index + letter.len_utf8()..];
            if letter == 'm' && matches!(interpreter.name, "python" | "pypy") {
                let named = if rest.is_empty() { arguments.next()?.to_str() } else { Some(rest) };
                return Some(named.map_or(Script::Other, |name| Script::Module(name.to_owned())));
            }
            if interpreter.inline.contains(letter) {
                return Some(Script::Other);
            }
            if interpreter.with_value.contains(letter) {
                if rest.is_empty() {
                    arguments.next();
                }
                break;
            }
        }
    }
    Some(Script::Other)
}

/// Returns whether a word names an interpreter whose first argument is a script.
pub fn is_interpreter(word: &OsStr) -> bool {
    named(word).is_some()
}

/// Returns the interpreter's name without its folder and its version, if the command has one.
pub(crate) fn interpreter_name(words: &[OsString]) -> Option<&'static str> {
    interpreter_of(words).map(|(interpreter, _)| interpreter.name)
}

/// Returns the words after a wrapper and its options, or all words.
fn unwrapped(words: &[OsString]) -> &[OsString] {
    match words.first() {
        Some(first) if is_wrapper(first) => {
            let position = words.iter().position(|word| named(word).is_some());
            position.map_or(words, |position| &words[position..])
        }
        _ => words,
    }
}

fn has_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn interpreter_of(words: &[OsString]) -> Option<(&'static Interpreter, &[OsString])> {
    let (program, arguments) = unwrapped(words).split_first()?;
    Some((named(program)?, arguments))
}

/// Returns whether a word names a program that starts another one.
pub(crate) fn is_wrapper(word: &OsStr) -> bool {
    let name = Path::new(word).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| WRAPPERS.contains(&name))
}

fn named(word: &OsStr) -> Option<&'static Interpreter> {
    let name = Path::new(word).file_name()?.to_str()?;
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.iter().find(|interpreter| interpreter.name == name)
}

/// Returns the file, unless its name depends on a parameter.
fn file(word: &OsStr) -> Script {
    match word.to_str() {
        Some(text) if text != "-" && !text.contains('{') => Script::File(PathBuf::from(text)),
        _ => Script::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_an_interpreter_is_its_first_argument_that_is_not_an_option() {
        let file = |name: &str| Some(Script::File(name.into()));
        for (command, want) in [
            ("python train.py --epochs 3", file("train.py")),
            ("/usr/bin/python3.11 -u -X dev -Wignore train.py", file("train.py")),
            ("python -Im pkg.train --lr 1", Some(Script::Module("pkg.train".to_owned()))),
            ("python -mtrain", Some(Script::Module("train".to_owned()))),
            ("python -c print(1) train.py", Some(Script::Other)),
            ("python -", Some(Script::Other)),
            ("python {model}.py", Some(Script::Other)),
            ("bash -eu -o pipefail train.sh", file("train.sh")),
            ("sh -ec exit", Some(Script::Other)),
            ("bash --norc -- train.sh", file("train.sh")),
            ("Rscript --vanilla fit.R 3", file("fit.R")),
            ("julia --project=. -t 4 fit.jl", file("fit.jl")),
            ("julia -e println(1)", Some(Script::Other)),
            ("perl -I lib fit.pl", file("fit.pl")),
            ("srun --mpi=pmix -n 4 python train.py", file("train.py")),
            ("env CUDA_VISIBLE_DEVICES=0 python3 train.py", file("train.py")),
            ("matlab -batch train", None),
            ("./simulate input.nml", None),
            ("./simulate post.py", None),
            ("torchrun --standalone train.py", file("train.py")),
            ("apptainer exec image.sif python /opt/train.py", file("/opt/train.py")),
        ] {
            let words: Vec<OsString> = command.split(' ').map(OsString::from).collect();
            assert_eq!(script_of(&words), want, "{command}");
        }
    }
}
