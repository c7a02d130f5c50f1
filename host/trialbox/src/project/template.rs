//! The templates of `trialbox new`.

use super::sdk;

/// A template, and what its project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Template {
    /// A component in Rust: the smallest objective
    Rust,
    /// A component in Rust that learns in steps, which the pruner may stop
    RustPruning,
    /// A file of Python for the sandbox
    Python,
    /// A program in Python, with a script for sbatch
    Program,
    /// A script that uses Optuna, with a script for sbatch
    Optuna,
}

/// A file of a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// The path in the project's folder, with `/` between names.
    pub(crate) path: String,
    pub(crate) text: String,
}

macro_rules! file {
    ($path:literal, $template:literal) => {
        ($path, include_str!(concat!("../../templates/", $template)))
    };
}

const OF_CRATE: [(&str, &str); 4] = [
    file!("Cargo.toml", "rust/Cargo.toml.txt"),
    file!(".cargo/config.toml", "rust/config.toml.txt"),
    file!(".gitignore", "rust/gitignore.txt"),
    file!("README.md", "rust/README.md"),
];

impl Template {
    /// Returns the files of a project of this name.
    pub(crate) fn files(self, name: &str) -> Vec<NewFile> {
        let own: &[(&str, &str)] = match self {
            Template::Rust => &[file!("src/lib.rs", "rust/lib.rs.txt")],
            Template::RustPruning => &[file!("src/lib.rs", "rust-pruning/lib.rs.txt")],
            Template::Python => &[
                file!("objective.py", "python/objective.py"),
                file!("README.md", "python/README.md"),
                file!(".gitignore", "python/gitignore.txt"),
            ],
            Template::Program => &[
                file!("train.py", "program/train.py"),
                file!("job.sbatch", "program/job.sbatch.txt"),
                file!("README.md", "program/README.md"),
                file!(".gitignore", "python/gitignore.txt"),
            ],
            Template::Optuna => &[
                file!("train.py", "optuna/train.py"),
                file!("job.sbatch", "optuna/job.sbatch.txt"),
                file!("README.md", "optuna/README.md"),
                file!(".gitignore", "python/gitignore.txt"),
            ],
        };
        let of_crate = if self.is_crate() { &OF_CRATE[..] } else { &[] };
        let filled = of_crate
            .iter()
            .chain(own)
            .map(|(path, text)| NewFile { path: (*path).to_owned(), text: fill(text, name) });
        let sdk = sdk::FILES.iter().map(|(path, text)| NewFile {
            path: format!("{}/{path}", sdk::FOLDER),
            text: (*text).to_owned(),
        });
        if self.is_crate() { filled.chain(sdk).collect() } else { filled.collect() }
    }

    /// Returns whether the project is a crate of Rust.
    pub(crate) fn is_crate(self) -> bool {
        matches!(self, Template::Rust | Template::RustPruning)
    }

    /// Returns the commands that come next in the project's folder.
    pub(crate) fn next_commands(self) -> [&'static str; 2] {
        match self {
            Template::Rust | Template::RustPruning => ["trialbox build", "trialbox run -n 20"],
            Template::Python => ["trialbox runtime add python", "trialbox run -n 20"],
            Template::Program => {
                ["trialbox eval -- python3 train.py", "trialbox run -n 20 -- python3 train.py"]
            }
            Template::Optuna => [
                "trialbox run --as-optuna -n 20 -- python3 train.py --optuna-db study.db --optuna-study-name study",
                "trialbox study best --storage study.db",
            ],
        }
    }
}

fn fill(text: &str, name: &str) -> String {
    text.replace("SDK_VERSION", sdk::version())
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
        .replace("NAME", name)
}

/// The most characters of a project's name, which is also a study's and a file's.
const MAX_NAME: usize = 64;

/// Names that a package of Rust cannot have: reserved words, crates of the standard library and its own folders.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "trialbox-guest",
    "trialbox_guest",
    "trialbox-guest-macros",
    "trialbox_guest_macros",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit-bindgen",
    "wit_bindgen",
    "yield",
];

/// Checks the name of a project.
///
/// # Errors
/// Returns the rule that the name breaks.
pub(crate) fn check_name(name: &str, template: Template) -> Result<(), String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || name.len() > MAX_NAME || !name.chars().all(is_fine) {
        return Err(format!(
            "expected a name of at most {MAX_NAME} letters, digits, `-` and `_` that starts with a letter"
        ));
    }
    if template.is_crate() && RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(
            "expected a name that a crate can have, found one that Rust reserves".to_owned()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use std::collections::BTreeSet;

    #[test]
    fn a_project_has_every_file_once_and_no_placeholder() {
        for template in Template::value_variants() {
            let files = template.files("mine");
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(paths.len(), files.len(), "{template:?}");
            for file in files.iter().filter(|file| !file.path.starts_with(sdk::FOLDER)) {
                let words: Vec<&str> = file.text.split(|c: char| !c.is_alphanumeric()).collect();
                for placeholder in ["NAME", "VERSION"] {
                    assert!(!words.contains(&placeholder), "{template:?} {}", file.path);
                }
                assert!(file.text.ends_with('\n'), "{template:?} {}", file.path);
            }
        }
    }

    #[test]
    fn names_that_are_paths_flags_or_words_of_rust_are_refused() {
        let long = "a".repeat(MAX_NAME + 1);
        for name in ["", "-x", "1x", "../x", "a/b", "a b", "é", "a.b", ".", "~", &long] {
            assert!(check_name(name, Template::Python).is_err(), "{name}");
        }
        for name in ["test", "Std", "fn", "trialbox-guest"] {
            assert!(check_name(name, Template::Rust).is_err(), "{name}");
            assert!(check_name(name, Template::Program).is_ok(), "{name}");
        }
        for name in ["x", "my-objective", "my_objective2", "A"] {
            assert!(check_name(name, Template::Rust).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_manifest_of_a_project_has_its_name_and_the_sdk() {
        let files = Template::Rust.files("mine");
        let manifest = files.iter().find(|file| file.path == "Cargo.toml").expect("a manifest");
        let manifest: toml::Table = manifest.text.parse().expect("TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some("mine"));
        let sdk = manifest["dependencies"][sdk::FOLDER]["path"].as_str();
        assert_eq!(sdk, Some(sdk::FOLDER));
    }
}
