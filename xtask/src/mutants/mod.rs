//! `cargo xtask mutants`: changes the light crates in small ways, and lists the changes that no light test notices.
//!
//! All mutants are compiled into one program, each behind its number, so a mutant costs its tests' time and no build.
//! SQL in string literals is mutated too. Nothing here is random: a sample is the mutants with the lowest hashes.

mod rewrite;
mod sql;
mod tree;
mod trial;

use crate::mutants::tree::{Placed, Tree, short};
use crate::mutants::trial::{Verdict, judge, subjects};
use crate::shell::root;
use anyhow::{Context as _, Result, ensure};
use fnv::FnvHasher;
use std::collections::BTreeMap;
use std::hash::Hasher as _;

/// The survivors that are known, with their reasons.
const KNOWN: &str = "xtask/src/mutants/survivors.txt";

/// The options of the command.
#[derive(clap::Args)]
pub(crate) struct MutantsArgs {
    /// Parts of crates, as `core/run` or `storage/sql/trials` [default: core, samplers, storage]
    modules: Vec<String>,
    /// Try at most N mutants, chosen by the seed [default: all]
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Choose another sample
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only mutants of SQL
    #[arg(long)]
    sql: bool,
    /// List the mutants and run nothing
    #[arg(long)]
    list: bool,
}

/// The mutants of a module by their ends.
#[derive(Default)]
struct Row {
    found: usize,
    timed_out: usize,
    explained: usize,
    left: usize,
}

impl MutantsArgs {
    pub(crate) fn run(&self) -> Result<()> {
        let mut tree = Tree::of_repository()?;
        if self.list {
            for placed in self.choose(tree.mutants()) {
                println!("{}", placed.show());
            }
            return Ok(());
        }
        println!("compiling all mutants into the tests of the light crates");
        let mut programs = tree.build()?;
        let chosen = self.choose(tree.mutants());
        programs.retain(|program| chosen.iter().any(|placed| program.tests(&placed.file)));
        ensure!(
            !chosen.is_empty(),
            "expected parts of crates such as `core/run`, found no mutants"
        );
        let known = std::fs::read_to_string(root().join(KNOWN)).context(KNOWN)?;
        let subjects = subjects(programs, &root().join("target/mutants"))?;
        let (mut rows, mut left) = (BTreeMap::<String, Row>::new(), Vec::new());
        for (index, placed) in chosen.iter().enumerate() {
            let verdict = judge(placed, &subjects)?;
            println!("{}/{} {verdict:?}: {}", index + 1, chosen.len(), placed.show());
            let row = rows.entry(module(&placed.file)).or_default();
            match verdict {
                Verdict::Found => row.found += 1,
                Verdict::TimedOut => row.timed_out += 1,
                Verdict::Survived | Verdict::NotReached => match reason(&known, placed) {
                    Some(_) => row.explained += 1,
                    None => {
                        row.left += 1;
                        left.push((placed, verdict));
                    }
                },
            }
        }
        print_table(&rows);
        for (placed, verdict) in &left {
            println!("{verdict:?}: {}", placed.show());
        }
        ensure!(left.is_empty(), "{} mutants are left without a reason in {KNOWN}", left.len());
        Ok(())
    }

    /// Chooses the mutants of the named modules, and of these a sample.
    fn choose(&self, mutants: Vec<Placed>) -> Vec<Placed> {
        let mut chosen: Vec<Placed> = mutants
            .into_iter()
            .filter(|placed| !self.sql || placed.mutant.is_sql)
            .filter(|placed| is_of(&self.modules, &placed.file))
            .collect();
        if let Some(n) = self.sample {
            chosen.sort_by_key(|placed| hash(self.seed, &placed.key()));
            chosen.truncate(n);
            chosen.sort_by_key(|placed| placed.number);
        }
        chosen
    }
}

/// Returns whether a file is of one of the modules.
fn is_of(modules: &[String], file: &str) -> bool {
    let path = short(file);
    modules.is_empty()
        || modules.iter().any(|module| {
            let rest = path.strip_prefix(module.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        })
}

/// Returns the module of a file for the table: its crate and the room or file below it.
fn module(file: &str) -> String {
    let path = short(file);
    path.trim_end_matches(".rs").splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
}

/// Returns the reason that is given for a survivor: after its name and a line break, indented.
fn reason<'a>(known: &'a str, placed: &Placed) -> Option<&'a str> {
    let key = placed.key();
    let mut lines = known.lines();
    lines.find(|line| *line == key)?;
    lines.next().filter(|reason| reason.starts_with("    ")).map(str::trim)
}

/// Returns a hash of a text and a seed that is the same on every machine.
fn hash(seed: u64, text: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(&seed.to_le_bytes());
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn print_table(rows: &BTreeMap<String, Row>) {
    println!(
        "\n{:28} {:>8} {:>8} {:>10} {:>10} {:>6}",
        "module", "mutants", "found", "timed out", "explained", "left"
    );
    let print = |name: &str, row: &Row| {
        let n = row.found + row.timed_out + row.explained + row.left;
        let share = 100.0 * (row.found + row.timed_out) as f64 / n as f64;
        println!(
            "{name:28} {n:>8} {:>8} {:>10} {:>10} {:>6}  {share:.0} % found",
            row.found, row.timed_out, row.explained, row.left
        );
    };
    let mut sum = Row::default();
    for (name, row) in rows {
        print(name, row);
        sum.found += row.found;
        sum.timed_out += row.timed_out;
        sum.explained += row.explained;
        sum.left += row.left;
    }
    print("all", &sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_crate_and_path() {
        let of = |module: &str, file: &str| is_of(&[module.to_owned()], file);
        let file = "trialbox-storage/src/sqlite/trials.rs";
        for module in ["storage", "storage/", "storage/sqlite", "storage/sqlite/trials"] {
            assert!(of(module, file), "{module}");
        }
        for module in ["core", "storage/sql", "storage/sqlite/trial", "sqlite"] {
            assert!(!of(module, file), "{module}");
        }
        assert!(is_of(&[], file));
        assert_eq!(module(file), "storage/sqlite");
        assert_eq!(module("trialbox-core/src/lib.rs"), "core/lib");
    }

    #[test]
    fn a_survivor_is_known_by_its_name_and_has_a_reason() {
        let placed = Placed {
            number: 7,
            file: "trialbox-core/src/run/mod.rs".to_owned(),
            mutant: rewrite::Mutant {
                function: "f".to_owned(),
                line: 3,
                was: "a < b".to_owned(),
                becomes: "a <= b".to_owned(),
                is_sql: false,
            },
        };
        let known = "core/run/mod.rs f: a < b → a <= b\n    a is never b\n";
        assert_eq!(reason(known, &placed), Some("a is never b"));
        assert_eq!(reason("core/run/mod.rs f: a < b → a <= b\n", &placed), None);
        assert_eq!(reason("", &placed), None);
    }

    /// Every known survivor must still be a mutant of the source, or its reason is about code that has changed.
    #[test]
    fn every_known_survivor_exists() {
        let known = std::fs::read_to_string(root().join(KNOWN)).expect("the list is there");
        let tree = Tree::of_repository().expect("the sources are read");
        let keys: std::collections::BTreeSet<String> =
            tree.mutants().iter().map(Placed::key).collect();
        for line in known.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#'])) {
            assert!(keys.contains(line), "{line}");
        }
    }
}
