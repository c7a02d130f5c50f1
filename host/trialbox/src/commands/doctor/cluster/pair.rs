//! Judges what holds between two nodes, and between them and the machine of the user.

use super::offset::Offset;
use crate::probe::{CacheSeen, Directory, Facts, LockSeen, Report};
use crate::view::finding::Finding;
use crate::view::trial::show_duration;
use std::time::Duration;
use trialbox_storage::LockMode;

/// The offset of two clocks, in seconds, that does not matter to trials.
const ENOUGH_ACCURACY: f64 = 2.0;

const OTHER_FILE_SYSTEM: &str = "keep the study on another file system";

/// The reports of two tasks, with the facts of this machine.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) here: &'a Facts,
    pub(super) first: &'a Report,
    pub(super) second: &'a Report,
    /// Slurm's reason for giving one node only, if it did.
    pub(super) one_node: Option<&'a str>,
    /// The lock mode of the commands on the study.
    pub(super) lock: LockMode,
}

impl Pair<'_> {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let findings = [
            self.one_node(),
            Some(self.same_folder()),
            self.mounts(),
            self.locks(),
            self.caches(),
            self.names(),
            self.clocks(),
        ];
        findings.into_iter().flatten().collect()
    }

    fn reports(&self) -> [&Report; 2] {
        [self.first, self.second]
    }

    /// Returns the study's folder as the first node sees it.
    fn folder(&self) -> &Directory {
        &self.first.facts.folder
    }

    /// Returns `both nodes`, or `two processes of n1`. The finding `same-folder` has the nodes' names.
    fn both(&self) -> String {
        if self.is_one_node() {
            return format!("two processes of {}", self.first.facts.node);
        }
        "both nodes".to_owned()
    }

    fn one(&self) -> &'static str {
        if self.is_one_node() { "one process" } else { "one node" }
    }

    fn is_one_node(&self) -> bool {
        self.first.facts.node == self.second.facts.node
    }

    /// Returns whether trialbox uses its lock file on both nodes.
    fn has_lock_file(&self) -> bool {
        match self.lock {
            LockMode::Auto => self.reports().iter().all(|report| report.facts.folder.has_lock_file),
            LockMode::Sqlite => false,
            LockMode::File => true,
        }
    }

    fn one_node(&self) -> Option<Finding> {
        if !self.is_one_node() {
            return None;
        }
        let mut found = format!("both tasks ran on {}", self.first.facts.node);
        if let Some(reason) = self.one_node {
            found.push_str(&format!(", because Slurm does not give one job two nodes ({reason})"));
        }
        Some(
            Finding::warning("one-node", found)
                .meaning("the checks between two nodes were not made")
                .advice(
                    "select a partition with several nodes: `trialbox doctor --slurm -- \
                     --partition NAME`; on a cluster of one node, nothing is missing",
                ),
        )
    }

    fn same_folder(&self) -> Finding {
        let [here, first, second] =
            [self.here, &self.first.facts, &self.second.facts].map(|facts| &facts.node);
        let nodes = if self.is_one_node() {
            format!("{here} and {first}")
        } else {
            format!("{here}, {first} and {second}")
        };
        let found = format!("{nodes} see the same folder, {}", describe(self.folder()));
        Finding::ok("same-folder", found).meaning("they share the studies in it")
    }

    /// Judges the types of the file systems, from which each process chooses its kind of lock for itself.
    fn mounts(&self) -> Option<Finding> {
        if self.lock != LockMode::Auto {
            return None;
        }
        let all = [self.here, &self.first.facts, &self.second.facts];
        let with = all.iter().find(|facts| facts.folder.has_lock_file)?;
        let without = all.iter().find(|facts| !facts.folder.has_lock_file)?;
        let found = format!(
            "the folder is {} on {} and {} on {}",
            with.folder.fs_type, with.node, without.folder.fs_type, without.node
        );
        let meaning = format!(
            "trialbox would use its lock file on {}, and SQLite's locks alone on {}",
            with.node, without.node
        );
        Some(
            Finding::warning("mounts", found)
                .meaning(meaning)
                .advice("give every command --lock file"),
        )
    }

    fn locks(&self) -> Option<Finding> {
        let seen = self.reports().map(|report| report.found.lock.as_ref());
        for lock in seen.into_iter().flatten() {
            if let LockSeen::Impossible(error) = lock {
                let folder = describe(self.folder());
                return Some(
                    Finding::error("locks", format!("cannot lock files in {folder}: {error}"))
                        .meaning("SQLite, and with it Optuna, opens no database there")
                        .advice(OTHER_FILE_SYSTEM),
                );
            }
        }
        if seen.contains(&Some(&LockSeen::Given)) {
            return Some(self.useless_locks());
        }
        if self.reports().iter().any(|report| report.found.lock_afterwards == Some(false)) {
            let found = format!("a lock that {} released is not free for the other", self.one());
            return Some(
                Finding::error("locks", found)
                    .meaning("jobs wait for each other until they give up")
                    .advice(OTHER_FILE_SYSTEM),
            );
        }
        if seen.iter().any(|seen| *seen != Some(&LockSeen::Refused)) {
            return None;
        }
        let found = format!("locks on files hold between {}", self.both());
        Some(Finding::ok("locks", found).meaning("writers wait for each other, Python's too"))
    }

    fn useless_locks(&self) -> Finding {
        let mut found = format!("locks on files do not hold between {}", self.both());
        if let Some(problem) = &self.folder().lock_option_problem {
            found.push_str(&format!(" ({problem})"));
        }
        let meaning = "with SQLite's locks alone, rows are lost and the file is corrupted";
        let python = "let no Python worker write to the study while jobs run";
        if !self.has_lock_file() {
            let advice = format!("give every command --lock file, and {python}");
            return Finding::error("locks", found).meaning(meaning).advice(advice);
        }
        let reason = match self.lock {
            LockMode::File => "with --lock file",
            LockMode::Auto | LockMode::Sqlite => "by itself",
        };
        let advice = format!("trialbox uses its lock file there {reason}; {python}");
        Finding::warning("locks", found).meaning(meaning).advice(advice)
    }

    fn caches(&self) -> Option<Finding> {
        let [first, second] = self.reports().map(|report| report.found.cache);
        let (first, second) = (first?, second?);
        let seen = CacheSeen {
            kept: first.kept && second.kept,
            locked: first.locked && second.locked,
            reopened: first.reopened && second.reopened,
        };
        let locks_hold = self.reports().iter().all(|r| r.found.lock == Some(LockSeen::Refused));
        let one = self.one();
        Some(match seen {
            CacheSeen { reopened: false, .. } => Finding::error(
                "caches",
                format!("{} read old contents of a file even after they reopen it", self.both()),
            )
            .meaning("no kind of lock can protect a study there")
            .advice(
                "keep the study on another file system, or have this one mounted so that an \
                 opened file is up to date",
            ),
            CacheSeen { kept: true, .. } => {
                Finding::ok("caches", format!("the other reads immediately what {one} writes"))
                    .meaning("even from a file that is already open")
            }
            CacheSeen { locked: true, .. } if locks_hold => {
                let found =
                    format!("the other reads what {one} writes after it has locked the file");
                Finding::ok("caches", found).meaning("SQLite reads this way")
            }
            _ => self.stale_caches(),
        })
    }

    /// Returns the finding for nodes that see new contents only after they reopen a file.
    fn stale_caches(&self) -> Finding {
        let found = format!(
            "{} keeps reading the old contents of an open file that the other has changed",
            self.one()
        );
        let meaning = "a program that keeps the database open, such as a Python worker, overwrites \
                       what others have written";
        if self.has_lock_file() {
            let advice = "trialbox reopens the database for each transaction; let Python read \
                          only copies made by `trialbox study snapshot`";
            Finding::warning("caches", found).meaning(meaning).advice(advice)
        } else {
            let advice = "give every command --lock file, which reopens the database for each \
                          transaction";
            Finding::error("caches", found).meaning(meaning).advice(advice)
        }
    }

    fn names(&self) -> Option<Finding> {
        if let Some(error) = self.reports().iter().find_map(|report| report.found.no_links.as_ref())
        {
            let folder = describe(self.folder());
            let found = format!("{folder} has no hard links ({error})");
            let meaning =
                "the lock file is created without them, which is safe on most file systems";
            return Some(Finding::note("names", found).meaning(meaning));
        }
        let first = self.first.found.names.as_ref()?;
        let second = self.second.found.names.as_ref()?;
        let n_wrong = first.iter().zip(second).filter(|(first, second)| first == second).count();
        let tried = format!("{} tried to create the same {} files", self.both(), first.len());
        Some(if n_wrong == 0 {
            Finding::ok("names", format!("{tried}, and one of them created each"))
                .meaning("the lock file of trialbox works")
        } else {
            Finding::error("names", format!("{tried}, and both or neither created {n_wrong}"))
                .meaning("a lock file cannot work there")
                .advice(OTHER_FILE_SYSTEM)
        })
    }

    fn clocks(&self) -> Option<Finding> {
        let offset = Offset::between(&self.first.found.messages, &self.second.found.messages)?;
        let (least, most) = (offset.least(), offset.most());
        let clocks = format!("the clocks of {}", self.both());
        let at_most = format!("{clocks} are at most {} apart", format_seconds(most));
        Some(if most <= ENOUGH_ACCURACY {
            Finding::ok("clocks", at_most)
        } else if least <= ENOUGH_ACCURACY {
            Finding::note("clocks", at_most)
                .meaning("messages through the folder take too long for a closer bound")
        } else {
            let (least, most) = (format_seconds(least), format_seconds(most));
            Finding::warning("clocks", format!("{clocks} are {least} to {most} apart"))
                .meaning(
                    "times in the study, `run --until` and the end of a job are wrong by as much, \
                     and Python's workers may take each other's trials for dead; trialbox compares \
                     no heartbeats between clocks",
                )
                .advice(
                    "tell the staff of the cluster, and give Python's `grace_period` more than that",
                )
        })
    }
}

fn describe(directory: &Directory) -> String {
    let folder = directory.path.parent().unwrap_or(&directory.path).display();
    match (directory.fs_type.as_str(), directory.source.as_str()) {
        ("", _) => format!("`{folder}`"),
        (fs_type, "") => format!("`{folder}` ({fs_type})"),
        (fs_type, source) => format!("`{folder}` ({fs_type}, {source})"),
    }
}

/// Formats seconds for people: `40 ms`, `3.2 s`, `5 min 0 s`.
fn format_seconds(seconds: f64) -> String {
    show_duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
pub(super) mod tests;
