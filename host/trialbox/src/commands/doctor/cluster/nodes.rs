//! Judges each node by itself, and the differences between nodes.

use crate::probe::{Directory, Facts};
use crate::view::finding::{Finding, Severity};
use trialbox_core::value::text::byte_size;

/// The open files that a host and a guest process need: the guest alone may have 512.
const ENOUGH_FILES: u64 = 512;

/// The processes that `run` needs. The limit counts all processes and threads of the user on the node.
const ENOUGH_PROCESSES: u64 = 256;

/// The file size that a study of many trials with reports can reach.
const ENOUGH_FILE_BYTES: u64 = 1 << 30;

/// Judges the nodes, of which there is at least one.
pub(super) fn judge(nodes: &[&Facts]) -> Vec<Finding> {
    [cpus(nodes), confinement(nodes), limits(nodes), cache(nodes), job_end(nodes), signals(nodes)]
        .into_iter()
        .flatten()
        .collect()
}

fn cpus(nodes: &[&Facts]) -> Vec<Finding> {
    let first = cpu_type(nodes[0]);
    if nodes.iter().all(|facts| cpu_type(facts) == first) {
        let found = format!("{} has {first}", subject(nodes));
        return vec![
            Finding::ok("cpu-mix", found).meaning("the nodes can share their compiled code"),
        ];
    }
    let found: Vec<String> =
        nodes.iter().map(|facts| format!("{} has {}", facts.node, cpu_type(facts))).collect();
    vec![
        Finding::note("cpu-mix", found.join(", "))
            .meaning(
                "each type of CPU compiles an objective for itself, and the last bits of results \
                 may differ between types",
            )
            .advice(
                "for the same bits everywhere, use `run --deterministic`, or give sbatch a \
                 --constraint that selects nodes of one type",
            ),
    ]
}

fn cpu_type(facts: &Facts) -> String {
    format!("{} ({})", facts.cpu.as_deref().unwrap_or("an unnamed CPU"), facts.arch)
}

fn confinement(nodes: &[&Facts]) -> Vec<Finding> {
    let lacking: Vec<&Facts> =
        nodes.iter().filter(|facts| !missing_precautions(facts).is_empty()).copied().collect();
    let Some(worst) = lacking.iter().max_by_key(|facts| missing_precautions(facts).len()) else {
        let abi = nodes.iter().map(|facts| facts.landlock_abi).min().unwrap_or_default();
        let found = format!(
            "{} confines guests by Landlock {abi}, seccomp and an empty root",
            subject(nodes)
        );
        let meaning = "the kernel keeps objectives to their grants too";
        return vec![Finding::ok("confinement", found).meaning(meaning)];
    };
    let missing: Vec<String> =
        missing_precautions(worst).iter().map(|precaution| format!("no {precaution}")).collect();
    let missing = missing.join(" and ");
    let found = format!("the kernel of {} ({}) offers {missing}", object(&lacking), worst.kernel);
    let finding = Finding::note("confinement", found);
    // Landlock and seccomp keep a guest from files; without an empty root it still sees their names.
    let has_both = lacking.iter().all(|facts| facts.landlock_abi > 0 && facts.seccomp);
    vec![if has_both {
        finding
            .meaning(
                "an objective that breaks out of WebAssembly sees the names of your files there, and can open none",
            )
            .advice(
                "ask the administrators for user namespaces (user.max_user_namespaces) if objectives are not trusted",
            )
    } else {
        finding
            .meaning("only WebAssembly keeps objectives to their grants there")
            .advice("run objectives that you do not trust on nodes that have Landlock and seccomp")
    }]
}

/// Returns the precautions for guest processes that a node's kernel lacks.
fn missing_precautions(facts: &Facts) -> Vec<&'static str> {
    let precautions = [
        (facts.landlock_abi > 0, "Landlock"),
        (facts.seccomp, "seccomp"),
        (facts.empty_root, "empty root"),
    ];
    precautions.into_iter().filter(|(is_there, _)| !is_there).map(|(_, name)| name).collect()
}

fn limits(nodes: &[&Facts]) -> Vec<Finding> {
    let findings = by_node(nodes, limits_of);
    if findings.is_empty() {
        let found = format!("no limit of `ulimit` is too low on {}", object(nodes));
        return vec![Finding::ok("limits", found)];
    }
    findings
}

/// Collects the findings of each node, which lack their subject. A finding of several nodes is reported once.
fn by_node<I: IntoIterator<Item = Finding>>(
    nodes: &[&Facts],
    find: impl Fn(&Facts) -> I,
) -> Vec<Finding> {
    let mut found: Vec<(Finding, Vec<&Facts>)> = Vec::new();
    for facts in nodes {
        for finding in find(facts) {
            match found.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, on)) => on.push(facts),
                None => found.push((finding, vec![facts])),
            }
        }
    }
    let mut findings = Vec::new();
    for (finding, on) in found {
        let found = format!("{} {}", subject(&on), finding.found);
        findings.push(Finding { found, ..finding });
    }
    findings
}

fn limits_of(facts: &Facts) -> Vec<Finding> {
    let limits = &facts.rlimits;
    let mut findings = Vec::new();
    if let Some(bytes) = limits.address_space_bytes
        && facts.small_address_space
    {
        let found = format!("limits the address space to {}", byte_size(bytes));
        let meaning = "memory accesses of objectives are checked in code, 1.3 to 1.7 times slower";
        let warning = limit_warning(found, meaning, "v");
        findings.push(Finding { severity: Severity::Note, ..warning });
    }
    if let Some(n) = limits.open_files
        && n < ENOUGH_FILES
    {
        let found = format!("lets a process open {n} files");
        findings.push(limit_warning(found, "a trial may fail because it cannot open a file", "n"));
    }
    if let Some(n) = limits.processes
        && n < ENOUGH_PROCESSES
    {
        let found = format!("lets you have {n} processes and threads");
        findings.push(limit_warning(found, "`run --jobs` may fail to start workers", "u"));
    }
    if let Some(bytes) = limits.file_size_bytes
        && bytes < ENOUGH_FILE_BYTES
    {
        let found = format!("limits files to {}", byte_size(bytes));
        findings.push(limit_warning(found, "a study that grows larger cannot be written", "f"));
    }
    if let Some(seconds) = limits.cpu_seconds {
        let found = format!("limits a process to {seconds} s of CPU time");
        findings.push(limit_warning(found, "`run` interrupts its trial then, and exits", "t"));
    }
    findings
}

fn limit_warning(found: String, meaning: &str, flag: &str) -> Finding {
    Finding::warning("limits", found).meaning(meaning).advice(format!(
        "raise it in the batch script (`ulimit -{flag}`), or in the shell that you submit from: \
         Slurm passes limits on"
    ))
}

fn cache(nodes: &[&Facts]) -> Vec<Finding> {
    let problems = by_node(nodes, cache_problem);
    match &nodes[0].cache {
        Some(cache) if problems.is_empty() => {
            let found = format!(
                "`{}` ({}) can hold compiled code on {}",
                cache.path.display(),
                cache.fs_type,
                object(nodes)
            );
            let meaning = "of many tasks that start together, only one compiles";
            vec![Finding::ok("cache", found).meaning(meaning)]
        }
        _ => problems,
    }
}

fn cache_problem(facts: &Facts) -> Option<Finding> {
    let found = match &facts.cache {
        None => "has no home directory for compiled code".to_owned(),
        Some(Directory { path, unwritable: Some(error), .. }) => {
            format!("cannot write compiled code to `{}` ({error})", path.display())
        }
        Some(_) => return None,
    };
    let finding = match &facts.job_cache {
        Some(Directory { path, unwritable: None, .. }) => Finding::note("cache", found)
            .meaning(format!("each job compiles for itself, in `{}`", path.display())),
        _ => Finding::warning("cache", found).meaning("each task compiles anew"),
    };
    Some(finding.advice(
        "set --cache-dir or TRIALBOX_CACHE_DIR to a directory of yours that all nodes can write",
    ))
}

fn job_end(nodes: &[&Facts]) -> Vec<Finding> {
    let Some(facts) = nodes.iter().find(|facts| facts.is_job && !facts.end_told) else {
        if !nodes.iter().all(|facts| facts.is_job) {
            return vec![];
        }
        let found = "Slurm tells jobs when they end (SLURM_JOB_END_TIME)";
        return vec![Finding::ok("job-end", found).meaning("`run` stops its trial in time")];
    };
    let found = "Slurm does not tell jobs when they end (before 23.02)";
    vec![match &facts.squeue_problem {
        None => Finding::ok("job-end", found)
            .meaning("squeue answers on the nodes, so `run` stops its trial in time"),
        Some(problem) => {
            Finding::warning("job-end", format!("{found}, and on {} {problem}", facts.node))
                .meaning("`run` cannot stop its trial in time: the trial is lost and retried")
                .advice("give `run --job-time` the time that you give sbatch as --time")
        }
    }]
}

/// Judges whether Slurm's signals reach the process that srun started: a wrapper between them would keep them.
fn signals(nodes: &[&Facts]) -> Vec<Finding> {
    let parent = |facts: &Facts| facts.parent.clone().unwrap_or_else(|| "unknown".to_owned());
    if let Some(facts) = nodes.iter().find(|facts| facts.is_job && !facts.gets_signals) {
        let found = format!(
            "Slurm's signals do not reach the process that srun starts on {}: its parent is `{}`",
            facts.node,
            parent(facts)
        );
        return vec![
            Finding::warning("parent", found)
                .meaning(
                    "a cancelled or preempted job cannot record its trial, which is retried later",
                )
                .advice(
                    "start trialbox without wrappers (SLURM_TASK_PROLOG, containers, scripts \
                     without `exec`)",
                ),
        ];
    }
    if !nodes.iter().all(|facts| facts.is_job) {
        return vec![];
    }
    let parent = parent(nodes[0]);
    let found =
        format!("Slurm's signals reach the process that srun starts (its parent is `{parent}`)");
    vec![Finding::ok("parent", found)]
}

/// Returns `n1` or `each node`, as the subject of a sentence in the singular.
fn subject(nodes: &[&Facts]) -> String {
    only_name(nodes).unwrap_or("each node").to_owned()
}

/// Returns `n1` or `both nodes`.
fn object(nodes: &[&Facts]) -> String {
    only_name(nodes).unwrap_or("both nodes").to_owned()
}

fn only_name<'a>(nodes: &[&'a Facts]) -> Option<&'a str> {
    let (first, others) = nodes.split_first()?;
    others.iter().all(|facts| facts.node == first.node).then_some(first.node.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::pair::tests::facts;
    use super::*;
    use crate::view::finding::Severity::{Note, Ok, Warning};

    /// Checks the findings of one code of two nodes, after a change to the first.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), code: &str, want: &[(Severity, &str)]) {
        let (mut first, second) = (facts("n1"), facts("n2"));
        change(&mut first);
        let findings = judge(&[&first, &second]);
        let found: Vec<&Finding> = findings.iter().filter(|finding| finding.code == code).collect();
        assert_eq!(found.len(), want.len(), "{findings:?}");
        for (finding, (severity, piece)) in found.iter().zip(want) {
            assert_eq!(finding.severity, *severity, "{finding:?}");
            assert!(
                finding.to_text().contains(piece),
                "`{piece}` is missing in: {}",
                finding.to_text()
            );
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
        let neither = |facts: &mut Facts| (facts.landlock_abi, facts.seccomp) = (0, false);
        check(neither, "confinement", &[(Note, "(6.1) offers no Landlock and no seccomp")]);
        check(
            |facts| facts.empty_root = false,
            "confinement",
            &[(Note, "kernel of n1 (6.1) offers no empty root")],
        );
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
                "n1 limits the address space to 8 GiB",
            ),
            (|facts| facts.rlimits.open_files = Some(100), Warning, "open 100 files"),
            (|facts| facts.rlimits.processes = Some(20), Warning, "20 processes"),
            (|facts| facts.rlimits.file_size_bytes = Some(1 << 20), Warning, "files to 1 MiB"),
            (|facts| facts.rlimits.cpu_seconds = Some(600), Warning, "600 s of CPU time"),
        ];
        for (change, severity, piece) in cases {
            check(change, "limits", &[(severity, piece)]);
        }
        check(|facts| facts.rlimits.open_files = Some(1024), "limits", &[(Ok, "")]);
    }

    #[test]
    fn a_finding_of_both_nodes_is_reported_once() {
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
    fn a_job_that_cannot_find_out_its_end_needs_job_time() {
        check(|facts| facts.end_told = false, "job-end", &[(Ok, "squeue answers")]);
        let is_deaf = |facts: &mut Facts| {
            facts.end_told = false;
            facts.squeue_problem = Some("`squeue` cannot be started".to_owned());
        };
        check(is_deaf, "job-end", &[(Warning, "--job-time")]);
        check(|facts| facts.is_job = false, "job-end", &[]);
    }
}
