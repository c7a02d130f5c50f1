//! What holds between two nodes, and between them and the machine where one submits.

use super::finding::{
    Finding,
    Severity::{Error, Note, Warning},
};
use super::offset::Offset;
use crate::probe::{CacheSeen, Facts, LockSeen, Place, Report};
use std::time::Duration;
use trialbox_storage::LockMode;

/// Clocks that are this far apart, in seconds, are as good as equal to trials.
const ENOUGH_ACCURACY: f64 = 2.0;

/// Two tasks, seen from here.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) here: &'a Facts,
    pub(super) first: &'a Report,
    pub(super) second: &'a Report,
    /// Why they ran on one node, if they did.
    pub(super) one_node: Option<&'a str>,
    /// What commands are to be told to keep writers apart with.
    pub(super) lock: LockMode,
}

impl Pair<'_> {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let found = [
            self.one_node(),
            self.same_folder(),
            self.mounts(),
            self.locks(),
            self.caches(),
            self.names(),
            self.clocks(),
        ];
        found.into_iter().flatten().collect()
    }

    fn reports(&self) -> [&Report; 2] {
        [self.first, self.second]
    }

    /// The folder of the study, as a node sees it.
    fn place(&self) -> &Place {
        &self.first.facts.folder
    }

    /// `both nodes`, or what stands for them. Which they are, `same-folder` says.
    fn both(&self) -> String {
        if self.is_one_node() {
            return format!("two processes of {}", self.first.facts.node);
        }
        "both nodes".to_owned()
    }

    /// One of them.
    fn one(&self) -> &'static str {
        if self.is_one_node() { "one process" } else { "one node" }
    }

    fn is_one_node(&self) -> bool {
        self.first.facts.node == self.second.facts.node
    }

    /// Whether trialbox takes its lock file on both nodes.
    fn has_lock_file(&self) -> bool {
        match self.lock {
            LockMode::Auto => self.reports().iter().all(|report| report.facts.folder.has_lock_file),
            LockMode::Sqlite => false,
            LockMode::File => true,
        }
    }

    fn one_node(&self) -> Option<Finding> {
        let because = self.one_node.map(|said| format!(", because Slurm gives no two ({said})"));
        self.is_one_node().then(|| {
            Finding::new(
                Warning,
                "one-node",
                format!("both tasks ran on {}{}", self.first.facts.node, because.unwrap_or_default()),
                "what holds between two nodes is not known",
                "ask for a partition that has several, `trialbox doctor --slurm -- --partition NAME`; if there is only one node, nothing is missing",
            )
        })
    }

    fn same_folder(&self) -> Option<Finding> {
        let place = self.place();
        let [here, first, second] =
            [self.here, &self.first.facts, &self.second.facts].map(|facts| &facts.node);
        let nodes = match self.is_one_node() {
            true => format!("{here} and {first}"),
            false => format!("{here}, {first} and {second}"),
        };
        let found = format!("{nodes} see the same folder, {}", describe(place));
        Some(Finding::ok("same-folder", found, "all share a study there"))
    }

    /// By the type of the file system trialbox decides about its lock file, each process for itself.
    fn mounts(&self) -> Option<Finding> {
        let all = [self.here, &self.first.facts, &self.second.facts];
        if self.lock != LockMode::Auto {
            return None;
        }
        let with = all.iter().find(|facts| facts.folder.has_lock_file)?;
        let without = all.iter().find(|facts| !facts.folder.has_lock_file)?;
        Some(Finding::new(
            Warning,
            "mounts",
            format!(
                "the folder is {} on {} and {} on {}",
                with.folder.fs_type, with.node, without.folder.fs_type, without.node
            ),
            "trialbox would take its lock file on the one and SQLite's locks alone on the other",
            "give every command --lock file",
        ))
    }

    fn locks(&self) -> Option<Finding> {
        let place = describe(self.place());
        let seen = self.reports().map(|report| report.found.lock.as_ref());
        let afterwards = self.reports().map(|report| report.found.lock_afterwards);
        let impossible = seen.iter().flatten().find_map(|seen| match seen {
            LockSeen::Impossible(error) => Some(error),
            _ => None,
        });
        if let Some(error) = impossible {
            return Some(Finding::new(
                Error,
                "locks",
                format!("files cannot be locked in {place}: {error}"),
                "SQLite, and with it Optuna, opens no database there",
                "keep the study on another file system",
            ));
        }
        if seen.contains(&Some(&LockSeen::Given)) {
            return Some(self.useless_locks());
        }
        if afterwards.contains(&Some(false)) {
            return Some(Finding::new(
                Error,
                "locks",
                format!("a lock that {} has let go is not free for the other", self.one()),
                "jobs wait for each other until they give up",
                "keep the study on another file system",
            ));
        }
        let all_refused = seen.iter().all(|seen| *seen == Some(&LockSeen::Refused));
        all_refused.then(|| {
            let found = format!("locks on files hold between {}", self.both());
            Finding::ok("locks", found, "writers wait for each other, Python's too")
        })
    }

    fn useless_locks(&self) -> Finding {
        let problem = self.place().lock_option_problem.as_ref();
        let problem = problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
        let found = format!("locks on files do not hold between {}{problem}", self.both());
        let meaning = "under SQLite's locks alone rows are lost and the file is corrupted";
        if self.has_lock_file() {
            let by = match self.lock {
                LockMode::File => "with --lock file",
                LockMode::Auto | LockMode::Sqlite => "by itself",
            };
            let advice = format!(
                "trialbox uses its lock file there {by}, but let no Python worker write to the study while jobs run"
            );
            Finding::new(Warning, "locks", found, meaning, advice)
        } else {
            let advice = "give every command --lock file, and let no Python worker write to the study while jobs run";
            Finding::new(Error, "locks", found, meaning, advice)
        }
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
        Some(match seen {
            CacheSeen { reopened: false, .. } => Finding::new(
                Error,
                "caches",
                format!("{} see old contents of a file even if they open it again", self.both()),
                "no lock can keep a study whole there",
                "keep the study on another file system, or have this one mounted so that an opened file is up to date",
            ),
            CacheSeen { kept: true, .. } => {
                let found = format!("what {} writes, the other reads at once", self.one());
                Finding::ok("caches", found, "even from a file that it has open")
            }
            CacheSeen { locked: true, .. } if locks_hold => {
                let found = format!(
                    "what {} writes, the other reads once it has locked the file",
                    self.one()
                );
                Finding::ok("caches", found, "as SQLite does")
            }
            _ => self.stale_caches(),
        })
    }

    /// Only what is opened anew is up to date.
    fn stale_caches(&self) -> Finding {
        let found = format!(
            "{} keeps seeing the old contents of an open file that the other has changed",
            self.one()
        );
        let meaning = "a program that keeps a database open, as Python's workers do, overwrites what others have written";
        if self.has_lock_file() {
            let advice = "trialbox opens it anew for each transaction; let Python read copies only, made by `trialbox study snapshot`";
            Finding::new(Warning, "caches", found, meaning, advice)
        } else {
            let advice =
                "give every command --lock file, which has it opened anew for each transaction";
            Finding::new(Error, "caches", found, meaning, advice)
        }
    }

    fn names(&self) -> Option<Finding> {
        if let Some(error) = self.reports().iter().find_map(|report| report.found.no_links.as_ref())
        {
            return Some(Finding::new(
                Note,
                "names",
                format!("there are no hard links in {} ({error})", describe(self.place())),
                "the lock file is made without them, which holds on most file systems",
                "",
            ));
        }
        let first = self.first.found.names.as_ref()?;
        let second = self.second.found.names.as_ref()?;
        let n_wrong = first.iter().zip(second).filter(|(first, second)| first == second).count();
        Some(if n_wrong == 0 {
            let found = format!(
                "{} tried to make the same {} files, and each file was made by one of them",
                self.both(),
                first.len()
            );
            Finding::ok("names", found, "the lock file of trialbox works")
        } else {
            Finding::new(
                Error,
                "names",
                format!(
                    "{} tried to make the same {} files, and {n_wrong} were made by both or by neither",
                    self.both(),
                    first.len()
                ),
                "no lock file can hold there",
                "keep the study on another file system",
            )
        })
    }

    fn clocks(&self) -> Option<Finding> {
        let offset = Offset::between(&self.first.found.messages, &self.second.found.messages)?;
        let (least, most) = (offset.least(), offset.most());
        let both = self.both();
        Some(if most <= ENOUGH_ACCURACY {
            let found = format!("the clocks of {both} are at most {} apart", show_seconds(most));
            Finding::ok("clocks", found, "")
        } else if least <= ENOUGH_ACCURACY {
            let found = format!("the clocks of {both} are at most {} apart", show_seconds(most));
            Finding::new(
                Note,
                "clocks",
                found,
                "messages through the folder take too long to say more",
                "",
            )
        } else {
            Finding::new(
                Warning,
                "clocks",
                format!(
                    "the clocks of {both} are {} to {} apart",
                    show_seconds(least),
                    show_seconds(most)
                ),
                "trialbox compares no heartbeats between clocks, but the times in the study, `run --until` and the end of a job as Slurm tells it are off by as much, and Python's workers may take each other's trials for dead",
                "tell the staff of the cluster, and give Python's `grace_period` more than that",
            )
        })
    }
}

fn describe(place: &Place) -> String {
    let folder = place.path.parent().unwrap_or(&place.path).display();
    match (place.fs_type.as_str(), place.source.as_str()) {
        ("", _) => format!("`{folder}`"),
        (fs_type, "") => format!("`{folder}` ({fs_type})"),
        (fs_type, source) => format!("`{folder}` ({fs_type}, {source})"),
    }
}

/// Seconds as people read them: `40 ms`, `3.2 s`, `5 min 0 s`.
fn show_seconds(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    crate::view::trial::show_duration(duration)
}

#[cfg(test)]
pub(super) mod tests;
