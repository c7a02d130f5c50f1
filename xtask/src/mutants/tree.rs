//! A copy of the repository in which every mutant of the light crates can be chosen, and its build.

use crate::mutants::rewrite::{Mutant, Rewritten, Source};
use crate::shell::root;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates whose tests take seconds, with their folders below `host`.
pub(super) const CRATES: [&str; 3] = ["trialbox-core", "trialbox-samplers", "trialbox-storage"];

/// The module that each crate of the copy gets. It chooses the mutant, and notes those that a test reaches.
const SWITCH: &str = include_str!("switch.rs");

/// A mutant in its file.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) number: usize,
    /// The file below `host`.
    pub(super) file: String,
    pub(super) mutant: Mutant,
}

impl Placed {
    /// Returns a mutant's name, which stays the same while its line moves.
    pub(super) fn key(&self) -> String {
        let mutant = &self.mutant;
        format!("{} {}: {} → {}", short(&self.file), mutant.function, mutant.was, mutant.becomes)
    }

    /// Returns the mutant with its line, for people.
    pub(super) fn show(&self) -> String {
        let (mutant, file) = (&self.mutant, short(&self.file));
        let change = format!("{} → {}", mutant.was, mutant.becomes);
        format!("{file}:{} {}: {change}", mutant.line, mutant.function)
    }
}

/// Returns a file's path without what all have in common: `core/run/mod.rs`.
pub(super) fn short(file: &str) -> String {
    file.replacen("trialbox-", "", 1).replacen("/src/", "/", 1)
}

/// A file below `host`, and bytes of it.
type Place = (String, Range<usize>);

/// A test program of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestProgram {
    /// The package that it tests, and its name.
    pub(super) package: String,
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The folder of the package, where `cargo test` runs it.
    pub(super) folder: PathBuf,
}

impl TestProgram {
    /// Returns whether a mutant of a file is tried on this program: on the tests of its own crate, and one of core on
    /// those of the storage too, where trials run. The doctor's tests take long, and are for the doctor.
    pub(super) fn tests(&self, file: &str) -> bool {
        let is_of = |package: &str| file.starts_with(&format!("{package}/"));
        if self.name == "doctor" {
            return file.contains("/doctor/");
        }
        is_of(&self.package) || (self.package == "trialbox-storage" && is_of("trialbox-core"))
    }
}

/// The copy.
#[derive(Clone)]
pub(super) struct Tree {
    folder: PathBuf,
    files: Vec<(String, usize, Source)>,
    /// The files that are copied as they are.
    others: Vec<String>,
    /// The mutants that do not compile.
    without: BTreeSet<usize>,
}

impl Tree {
    /// Finds the mutants of the light crates. The copy is to stand in `target/mutants/tree`.
    pub(super) fn of_repository() -> Result<Tree> {
        let folder = root().join("target/mutants/tree");
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root())
            .output()
            .context("git lists the files")?;
        ensure!(listed.status.success(), "git cannot list the files");
        let names = String::from_utf8(listed.stdout).context("names are UTF-8")?;
        let (mut files, mut others, mut first) = (Vec::new(), Vec::new(), 1);
        for name in names.split_terminator('\0') {
            let Some(file) = mutated(name) else {
                others.push(name.to_owned());
                continue;
            };
            let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
            let source = Source::parse(&text).with_context(|| format!("`{name}`"))?;
            let n = source.mutants().count();
            files.push((file.to_owned(), first, source));
            first += n;
        }
        let mut tree = Tree { folder, files, others, without: BTreeSet::new() };
        tree.without = tree.known_without();
        Ok(tree)
    }

    /// Returns the mutants that did not compile in an earlier build.
    fn known_without(&self) -> BTreeSet<usize> {
        let text = std::fs::read_to_string(self.list_of_without()).unwrap_or_default();
        let known: BTreeSet<&str> = text.lines().collect();
        let all = self.mutants();
        all.iter().filter(|placed| known.contains(&*placed.key())).map(|it| it.number).collect()
    }

    fn remember_without(&self) -> Result<()> {
        let all = Tree { without: BTreeSet::new(), ..self.clone() }.mutants();
        let lines = all.iter().filter(|placed| self.without.contains(&placed.number));
        let lines: String = lines.map(|placed| placed.key() + "\n").collect();
        std::fs::write(self.list_of_without(), lines).context("the list of what does not compile")
    }

    fn list_of_without(&self) -> PathBuf {
        self.folder.with_file_name("without.txt")
    }

    /// Returns all mutants, those that do not compile excepted.
    pub(super) fn mutants(&self) -> Vec<Placed> {
        let mut all = Vec::new();
        for (file, first, source) in &self.files {
            for (number, mutant) in (*first..).zip(source.mutants()) {
                if !self.without.contains(&number) {
                    all.push(Placed { number, file: file.clone(), mutant: mutant.clone() });
                }
            }
        }
        all
    }

    /// Compiles the tests with all mutants. Mutants that the compiler refuses are left out.
    pub(super) fn build(&mut self) -> Result<Vec<TestProgram>> {
        for name in &self.others {
            // A file that git knows may be deleted.
            if let Ok(bytes) = std::fs::read(root().join(name)) {
                write_changed(&self.folder.join(name), &bytes)?;
            }
        }
        loop {
            let rewritten = self.write()?;
            let (programs, errors) = self.compile()?;
            if errors.is_empty() {
                self.remember_without()?;
                return Ok(programs);
            }
            let before = self.without.len();
            for (file, place) in &errors {
                let Some(text) = rewritten.get(file) else { continue };
                self.without.extend(text.at(place));
            }
            ensure!(
                self.without.len() > before,
                "the copy in {} does not compile, and no mutant is the reason: {errors:?}",
                self.folder.display()
            );
            println!("{} mutants do not compile and are left out", self.without.len());
        }
    }

    fn write(&self) -> Result<BTreeMap<String, Rewritten>> {
        let mut all = BTreeMap::new();
        let n = self.files.last().map_or(1, |(_, first, source)| first + source.mutants().count());
        for (file, first, source) in &self.files {
            let mut rewritten = source.rewrite(*first, &self.without);
            if file.ends_with("src/lib.rs") {
                let switch =
                    SWITCH.replace("const N: usize = 1;", &format!("const N: usize = {n};"));
                rewritten
                    .text
                    .push_str(&format!("\n#[doc(hidden)]\npub mod __mutant {{\n{switch}}}\n"));
            }
            write_changed(&self.folder.join("host").join(file), rewritten.text.as_bytes())?;
            all.insert(file.clone(), rewritten);
        }
        Ok(all)
    }

    /// Returns the test programs, and the places of errors as files and bytes.
    fn compile(&self) -> Result<(Vec<TestProgram>, Vec<Place>)> {
        let mut command = Command::new("cargo");
        command.args(["test", "--no-run", "--no-fail-fast", "--message-format", "json", "--quiet"]);
        CRATES.iter().for_each(|name| {
            command.args(["--package", name]);
        });
        command
            .current_dir(&self.folder)
            // Where the dependencies are compiled already.
            .env("CARGO_TARGET_DIR", root().join("target"));
        let output = command.output().context("cargo compiles the copy")?;
        let (mut programs, mut errors) = (Vec::new(), Vec::new());
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            if message["reason"] == "compiler-artifact" && message["profile"]["test"] == true {
                programs.extend(program(&message));
            } else if message["reason"] == "compiler-message"
                && message["message"]["level"] == "error"
            {
                errors.extend(places(&message["message"]));
            }
        }
        if !output.status.success() && errors.is_empty() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok((programs, errors))
    }
}

/// Returns the file below `host`, if it is one to mutate.
fn mutated(name: &str) -> Option<&str> {
    let file = name.strip_prefix("host/")?;
    let (package, rest) = file.split_once('/')?;
    let is_test = rest.ends_with("/tests.rs") || rest.contains("/tests/");
    let is_source = rest.starts_with("src/") && rest.ends_with(".rs") && !is_test;
    (CRATES.contains(&package) && is_source).then_some(file)
}

/// Writes a file unless it is the same: cargo compiles again what has another time.
fn write_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
}

fn program(message: &Value) -> Option<TestProgram> {
    let path = message["executable"].as_str()?;
    let package = CRATES.iter().find(|name| {
        message["manifest_path"].as_str().is_some_and(|path| path.contains(&format!("/{name}/")))
    })?;
    let kind = message["target"]["kind"][0].as_str()?;
    let name = if kind == "test" { message["target"]["name"].as_str()? } else { kind };
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(TestProgram {
        package: (*package).to_owned(),
        name: name.to_owned(),
        path: path.into(),
        folder: manifest.parent()?.to_owned(),
    })
}

/// Returns the primary places of an error in files below `host`.
fn places(message: &Value) -> Vec<Place> {
    let spans = message["spans"].as_array().into_iter().flatten();
    let primary = spans.filter(|span| span["is_primary"] == true).filter_map(|span| {
        let file = span["file_name"].as_str()?;
        let (_, file) = file.rsplit_once("host/")?;
        let byte = |key: &str| usize::try_from(span[key].as_u64()?).ok();
        Some((file.to_owned(), byte("byte_start")?..byte("byte_end")?))
    });
    primary.collect()
}
