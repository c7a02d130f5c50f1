//! The model of the lock file, searched by Spin.

use crate::shell::{self, root};
use crate::stage::{Tally, for_each};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// The model.
const MODEL: &str = "host/trialbox-storage/model/lock.pml";

/// A search of the model.
struct Case {
    name: &'static str,
    /// The numbers of processes, transactions of each, stops, stops inside COMMIT, and deaths.
    numbers: [u8; 5],
    /// The bits of the search's hash table where not every state is kept; 0 for a whole search.
    hash_bits: u8,
    /// True if two writers must be found.
    is_unsafe: bool,
}

const CASES: [Case; 7] = [
    whole("three_processes_two_transactions_each", [3, 2, 0, 0, 0]),
    whole("three_processes_of_which_one_stops_anywhere_and_one_dies_anywhere", [3, 1, 1, 0, 1]),
    whole("two_processes_two_transactions_each_two_stops_and_a_death", [2, 2, 2, 0, 1]),
    whole("four_processes", [4, 1, 0, 0, 0]),
    Case { hash_bits: 24, ..whole("three_processes_that_stop_twice_anywhere", [3, 1, 2, 0, 0]) },
    Case { hash_bits: 23, ..whole("four_processes_of_which_one_stops_anywhere", [4, 1, 1, 0, 0]) },
    // The window that remains, and the proof that a search can fail.
    Case { is_unsafe: true, ..whole("a_stop_inside_commit_is_found", [3, 1, 0, 1, 0]) },
];

const fn whole(name: &'static str, numbers: [u8; 5]) -> Case {
    Case { name, numbers, hash_bits: 0, is_unsafe: false }
}

/// Looks for Spin and for the compiler of its searches.
pub(crate) fn find() -> Result<()> {
    let spin = Command::new("spin").arg("-V").output().context("`spin` cannot be started")?;
    ensure!(spin.status.success(), "`spin -V` failed: {}", spin.status);
    shell::find("cc")
}

/// Searches the model in each case.
pub(crate) fn run(tally: &mut Tally) -> Result<()> {
    for_each(&CASES, |case| {
        let result = case.run();
        println!("test {} ... {}", case.name, if result.is_ok() { "ok" } else { "FAILED" });
        match result {
            Ok(()) => tally.passed += 1,
            Err(problem) => {
                tally.failed += 1;
                tally.names.push(case.name.to_owned());
                return Err(problem);
            }
        }
        Ok(())
    })
}

impl Case {
    fn run(&self) -> Result<()> {
        let folder = root().join("target/spin").join(self.name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let names = ["N", "ROUNDS", "STOPS", "COMMITS", "CRASHES"];
        let defined =
            names.iter().zip(self.numbers).map(|(name, number)| format!("-D{name}={number}"));
        let mut spin = Command::new("spin");
        output(spin.arg("-a").args(defined).arg(root().join(MODEL)).current_dir(&folder))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-w", "-O2", "-DSAFETY", "-o", "search", "pan.c"]).current_dir(&folder);
        if self.hash_bits > 0 {
            compiler.arg("-DBITSTATE");
        }
        output(&mut compiler)?;
        let found = self.search(&folder)?;
        match (self.is_unsafe, n_errors(&found)) {
            (false, Some(0)) | (true, Some(1..)) => Ok(()),
            (true, Some(0)) => bail!("{}: expected two writers, found none", self.name),
            _ => bail!(
                "{}: {found}\nshow the way there: cd {} && spin -t -p {MODEL}",
                self.name,
                folder.display()
            ),
        }
    }

    fn search(&self, folder: &Path) -> Result<String> {
        let mut search = Command::new(folder.join("search"));
        search.current_dir(folder).arg("-m100000");
        if self.hash_bits > 0 {
            search.arg(format!("-w{}", self.hash_bits));
        }
        let found = output(&mut search)?;
        ensure!(!found.contains("max search depth too small"), "{}: too deep", self.name);
        Ok(found)
    }
}

/// Runs a program and returns its output.
fn output(command: &mut Command) -> Result<String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("`{shown}` cannot be started"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(done.status.success(), "`{shown}` failed: {}\n{text}", done.status);
    Ok(text)
}

/// Reads the number of errors in the output of a search.
fn n_errors(found: &str) -> Option<u64> {
    let (_, rest) = found.split_once("errors: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_errors_is_read() {
        let found =
            "State-vector 64 byte, depth reached 207, errors: 2\n     8606 states, stored\n";
        assert_eq!(n_errors(found), Some(2));
        assert_eq!(n_errors("pan: out of memory"), None);
    }
}
