//! What each node is like by itself, and in what they differ.

use super::finding::{
    Finding,
    Severity::{Note, Warning},
};
use crate::probe::{Facts, Place};
use crate::view::trial::show_bytes;

/// With fewer descriptors, host and guest process may run out of them: the guest alone may have 512.
const ENOUGH_FILES: u64 = 512;

/// With fewer, threads may not be started: the limit counts all of the user's on the node.
const ENOUGH_PROCESSES: u64 = 256;

/// A study of many trials with reports grows beyond less than this.
const ENOUGH_FILE_BYTES: u64 = 1 << 30;

/// At least one node.
pub(super) fn judge(nodes: &[&Facts]) -> Vec<Finding> {
    [cpus(nodes), confinement(nodes), limits(nodes), cache(nodes), job_end(nodes), signals(nodes)]
        .into_iter()
        .flatten()
        .collect()
}

fn cpus(nodes: &[&Facts]) -> Vec<Finding> {
    let type_of = |facts: &Facts| {
        let cpu = facts.cpu.as_deref().unwrap_or("an unnamed CPU");
        format!("{} ({})", cpu, facts.arch)
    };
    let first = type_of(nodes[0]);
    if nodes.iter().all(|facts| type_of(facts) == first) {
        let found = format!("{} has {first}", names(nodes));
        return vec![Finding::ok(
            "cpu-mix",
            found,
            "what one node has compiled, the other can use",
        )];
    }
    let found: Vec<String> =
        nodes.iter().map(|facts| format!("{} has {}", facts.node, type_of(facts))).collect();
    vec![Finding::new(
        Note,
        "cpu-mix",
        found.join(", "),
        "each type of CPU compiles an objective for itself once, and the last bits of results may differ between them",
        "`run --deterministic` gives the same bits on all, or have sbatch take nodes of one type with --constraint",
    )]
}

fn confinement(nodes: &[&Facts]) -> Vec<Finding> {
    let lacks = |facts: &&&Facts| facts.landlock_abi == 0 || !facts.seccomp;
    let lacking: Vec<&Facts> = nodes.iter().filter(lacks).copied().collect();
    let Some(worst) = lacking.first() else {
        let abi = nodes.iter().map(|facts| facts.landlock_abi).min().unwrap_or_default();
        let found = format!("{} confines guests by Landlock {abi} and seccomp", names(nodes));
        return vec![Finding::ok(
            "confinement",
            found,
            "the kernel, too, keeps objectives to what they are granted",
        )];
    };
    let what = match (worst.landlock_abi, worst.seccomp) {
        (0, false) => "neither Landlock nor seccomp",
        (0, true) => "no Landlock",
        _ => "no seccomp",
    };
    vec![Finding::new(
        Note,
        "confinement",
        format!("the kernel of {} ({}) offers {what}", places(&lacking), worst.kernel),
        "only WebAssembly keeps objectives to what they are granted there",
        "run objectives of strangers where the kernel has both",
    )]
}

fn limits(nodes: &[&Facts]) -> Vec<Finding> {
    let findings = of_each(nodes, limits_of);
    if findings.is_empty() {
        let found = format!("no limit of `ulimit` is too low on {}", places(nodes));
        return vec![Finding::ok("limits", found, "")];
    }
    findings
}

/// What is found on a node, the end of a sentence that begins with its name; where two nodes agree, said once.
fn of_each<I: IntoIterator<Item = Finding>>(
    nodes: &[&Facts],
    of: impl Fn(&Facts) -> I,
) -> Vec<Finding> {
    let mut found: Vec<(Finding, Vec<&Facts>)> = Vec::new();
    for facts in nodes {
        for finding in of(facts) {
            match found.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, on)) => on.push(facts),
                None => found.push((finding, vec![facts])),
            }
        }
    }
    let named = |(finding, on): (Finding, Vec<&Facts>)| Finding {
        found: format!("{} {}", names(&on), finding.found),
        ..finding
    };
    found.into_iter().map(named).collect()
}

fn limits_of(facts: &Facts) -> Vec<Finding> {
    let limits = &facts.rlimits;
    let small = |limit: Option<u64>, enough: u64| limit.filter(|limit| *limit < enough);
    let raise = |flag: &str| {
        format!(
            "raise it in the batch script (`ulimit -{flag}`), or where you submit: Slurm passes limits on"
        )
    };
    let warning = |found: String, meaning: &str, flag: &str| {
        Finding::new(Warning, "limits", found, meaning, raise(flag))
    };
    let address_space =
        limits.address_space_bytes.filter(|_| facts.small_address_space).map(|bytes| {
            let found = format!("limits the address space to {}", show_bytes(bytes));
            Finding {
                severity: Note,
                ..warning(
                    found,
                    "memory of objectives is checked in code, 1.3 to 1.7 times slower",
                    "v",
                )
            }
        });
    let files = small(limits.open_files, ENOUGH_FILES).map(|n| {
        warning(format!("lets a process open {n} files"), "a trial may fail for want of one", "n")
    });
    let processes = small(limits.processes, ENOUGH_PROCESSES).map(|n| {
        warning(
            format!("lets you have {n} processes and threads"),
            "`run --jobs` may fail to start some",
            "u",
        )
    });
    let file_size = small(limits.file_size_bytes, ENOUGH_FILE_BYTES).map(|bytes| {
        let found = format!("limits files to {}", show_bytes(bytes));
        warning(found, "a study that grows larger cannot be written", "f")
    });
    let cpu = limits.cpu_seconds.map(|seconds| {
        let found = format!("limits a process to {seconds} s of processor time");
        warning(found, "`run` ends its trial then, and stops", "t")
    });
    [address_space, files, processes, file_size, cpu].into_iter().flatten().collect()
}

fn cache(nodes: &[&Facts]) -> Vec<Finding> {
    let problems = of_each(nodes, cache_of);
    let cache = nodes[0].cache.as_ref();
    match cache.filter(|_| problems.is_empty()) {
        Some(cache) => {
            let found = format!(
                "compiled code can be kept in `{}` ({}) on {}",
                cache.path.display(),
                cache.fs_type,
                places(nodes)
            );
            vec![Finding::ok("cache", found, "when many tasks start together, only one compiles")]
        }
        None => problems,
    }
}

fn cache_of(facts: &Facts) -> Option<Finding> {
    let found = match &facts.cache {
        None => "names no home directory to keep compiled code in".to_owned(),
        Some(Place { path, unwritable: Some(error), .. }) => {
            format!("cannot keep compiled code in `{}` ({error})", path.display())
        }
        Some(_) => return None,
    };
    let advice =
        "give --cache-dir, or TRIALBOX_CACHE_DIR, a folder of your own that all nodes can write";
    Some(match facts.job_cache.as_ref().filter(|place| place.unwritable.is_none()) {
        Some(place) => {
            let meaning = format!("each job compiles for itself, in `{}`", place.path.display());
            Finding::new(Note, "cache", found, meaning, advice)
        }
        None => Finding::new(Warning, "cache", found, "each task compiles anew", advice),
    })
}

fn job_end(nodes: &[&Facts]) -> Vec<Finding> {
    let Some(facts) = nodes.iter().find(|facts| facts.is_job && !facts.end_told) else {
        let is_job = nodes.iter().all(|facts| facts.is_job);
        let found = "Slurm tells jobs when they end (SLURM_JOB_END_TIME)";
        let told = Finding::ok("job-end", found, "`run` stops its trial in time");
        return is_job.then_some(told).into_iter().collect();
    };
    let found = "Slurm does not tell jobs when they end (before 23.02)";
    vec![match &facts.squeue_problem {
        None => Finding::ok(
            "job-end",
            found,
            "`run` asks squeue, which answers on the nodes, and stops its trial in time",
        ),
        Some(problem) => Finding::new(
            Warning,
            "job-end",
            format!("{found}, and on {} {problem}", facts.node),
            "`run` does not know when to stop its trial, which is lost and tried again",
            "give `run --job-time` what you give sbatch as --time",
        ),
    }]
}

/// Whether Slurm's signals reach what it has started: a wrapper between them would keep them.
fn signals(nodes: &[&Facts]) -> Vec<Finding> {
    let parent = |facts: &Facts| facts.parent.clone().unwrap_or_else(|| "unknown".to_owned());
    match nodes.iter().find(|facts| facts.is_job && !facts.gets_signals) {
        Some(facts) => vec![Finding::new(
            Warning,
            "parent",
            format!(
                "what srun starts on {} is not what Slurm signals: its parent is `{}`",
                facts.node,
                parent(facts)
            ),
            "a job that is cancelled or preempted cannot record its trial, which is tried again by the next",
            "start trialbox without wrappers (SLURM_TASK_PROLOG, containers, scripts without `exec`)",
        )],
        None if nodes.iter().all(|facts| facts.is_job) => {
            let found = format!(
                "Slurm's signals reach what srun starts (its parent is `{}`)",
                parent(nodes[0])
            );
            vec![Finding::ok("parent", found, "")]
        }
        None => vec![],
    }
}

/// `n1` or `each node`, as the subject of a sentence about one.
fn names(nodes: &[&Facts]) -> String {
    let mut names: Vec<&str> = nodes.iter().map(|facts| facts.node.as_str()).collect();
    names.dedup();
    match &names[..] {
        [only] => (*only).to_owned(),
        _ => "each node".to_owned(),
    }
}

/// `n1` or `both nodes`.
fn places(nodes: &[&Facts]) -> String {
    let name = names(nodes);
    if name == "each node" { "both nodes".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{self, Ok};
    use super::super::pair::tests::facts;
    use super::*;

    /// Two nodes, one of which is changed: the findings of this code.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), code: &str, want: &[(Severity, &str)]) {
        let (mut first, second) = (facts("n1"), facts("n2"));
        change(&mut first);
        let findings = judge(&[&first, &second]);
        let found: Vec<&Finding> = findings.iter().filter(|finding| finding.code == code).collect();
        assert_eq!(found.len(), want.len(), "{findings:?}");
        for (finding, (severity, piece)) in found.iter().zip(want) {
            assert_eq!(finding.severity, *severity, "{finding:?}");
            assert!(finding.text().contains(piece), "`{piece}` is missing in: {}", finding.text());
        }
    }

    #[test]
    fn two_nodes_like_each_other_without_limits_are_as_they_should_be() {
        let (first, second) = (facts("n1"), facts("n2"));
        let findings = judge(&[&first, &second]);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["cpu-mix", "confinement", "limits", "cache", "job-end", "parent"]);
        assert!(findings.iter().all(|finding| finding.severity == Ok), "{findings:?}");
    }

    #[test]
    fn nodes_that_differ_or_lack_something_are_named() {
        let other = |facts: &mut Facts| facts.cpu = Some("AMD EPYC 9654".to_owned());
        check(other, "cpu-mix", &[(Note, "n1 has AMD EPYC 9654 (x86_64), n2 has Xeon (x86_64)")]);
        check(
            |facts| facts.landlock_abi = 0,
            "confinement",
            &[(Note, "kernel of n1 (6.1) offers no Landlock")],
        );
        check(|facts| facts.seccomp = false, "confinement", &[(Note, "offers no seccomp")]);
        check(
            |facts| facts.gets_signals = false,
            "parent",
            &[(Warning, "its parent is `slurmstepd`")],
        );
    }

    #[test]
    fn a_limit_that_is_in_the_way_is_named_with_its_flag() {
        type Case = (fn(&mut Facts), Severity, &'static str);
        let cases: [Case; 5] = [
            (
                |facts| {
                    facts.rlimits.address_space_bytes = Some(8 << 30);
                    facts.small_address_space = true;
                },
                Note,
                "n1 limits the address space to 8192.0 MiB",
            ),
            (|facts| facts.rlimits.open_files = Some(100), Warning, "open 100 files"),
            (|facts| facts.rlimits.processes = Some(20), Warning, "20 processes"),
            (|facts| facts.rlimits.file_size_bytes = Some(1 << 20), Warning, "files to 1.0 MiB"),
            (|facts| facts.rlimits.cpu_seconds = Some(600), Warning, "600 s of processor time"),
        ];
        for (change, severity, piece) in cases {
            check(change, "limits", &[(severity, piece)]);
        }
        check(|facts| facts.rlimits.open_files = Some(1024), "limits", &[(Ok, "")]);
    }

    #[test]
    fn what_two_nodes_have_in_common_is_said_once() {
        let mut both = [facts("n1"), facts("n2")];
        both.iter_mut().for_each(|facts| facts.rlimits.open_files = Some(100));
        let findings = limits(&[&both[0], &both[1]]);
        let found: Vec<&str> = findings.iter().map(|finding| &*finding.found).collect();
        assert_eq!(found, ["each node lets a process open 100 files"]);
    }

    #[test]
    fn a_cache_that_cannot_be_written_costs_compiling_for_each_job_or_each_task() {
        let unwritable = |facts: &mut Facts| {
            let cache = facts.cache.as_mut().expect("a cache");
            cache.unwritable = Some("Permission denied".to_owned());
        };
        check(unwritable, "cache", &[(Warning, "each task compiles anew")]);
        check(|facts| facts.cache = None, "cache", &[(Warning, "no home directory")]);
        let has_own = |facts: &mut Facts| {
            facts.job_cache = facts.cache.clone();
            unwritable(facts);
        };
        check(has_own, "cache", &[(Note, "each job compiles for itself")]);
    }

    #[test]
    fn a_job_that_cannot_learn_its_end_needs_to_be_told() {
        check(|facts| facts.end_told = false, "job-end", &[(Ok, "asks squeue")]);
        let is_deaf = |facts: &mut Facts| {
            facts.end_told = false;
            facts.squeue_problem = Some("`squeue` cannot be started".to_owned());
        };
        check(is_deaf, "job-end", &[(Warning, "--job-time")]);
        check(|facts| facts.is_job = false, "job-end", &[]);
    }
}
