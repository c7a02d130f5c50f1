//! What contributors and CI run, as `cargo xtask COMMAND`. Every command installs what it needs itself.
#![expect(clippy::print_stdout, reason = "a command for people, who watch it")]

mod bench;
mod demo;
mod fuse;
mod fuzz;
mod guests;
mod python;
mod shell;
mod slurm;
mod tidy;

use anyhow::Result;

const HELP: &str = "\
cargo xtask COMMAND

  demo          build trialbox and an objective, and run a real study to its best trial
  test          set up and run all tests
  check         formatting, clippy, documentation, licences, dependency directions
  ci            check, then test: what CI runs
  tidy [--report [RULE]]
                only the repository's own rules; or counts of what breaks them, per crate
  build-guests  compile the example objectives to target/guests/wasm32-wasip2/release
  fuzz [TARGET…] [--seconds N]
                coverage-guided fuzzing of what reads what others wrote, 30 seconds each
  bench [NAME]  named experiments, with ratios measured in one run: trial, guest, sandbox, reports, herd
  bench samplers run|report [--OPTION VALUE]…
                how good samplers are, ours and Optuna's; without more it says how
  bench suggest the CPU time of one suggestion, ours and Optuna's
  bench pruners the CPU time of one judgement of a running trial";

fn main() -> Result<()> {
    if fuzz::stand_in_for_compiler()? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(),
        Some("test") => test(),
        Some("check") => check(),
        Some("ci") => check().and_then(|()| test()),
        Some("tidy") => match arguments.get(1).map(String::as_str) {
            None => tidy::run(),
            Some("--report") => tidy::report(arguments.get(2).map(String::as_str)),
            Some(other) => anyhow::bail!("expected `--report [RULE]`, found `{other}`"),
        },
        Some("build-guests") => guests::build_all().map(|_| ()),
        Some("fuzz") => fuzz::run_named(&arguments[1..]),
        Some("bench") => bench::run_named(&arguments[1..]),
        _ => {
            println!("{HELP}");
            if arguments.is_empty() || arguments[0] == "help" {
                Ok(())
            } else {
                anyhow::bail!("no such command")
            }
        }
    }
}

/// Sets up and runs all tests, the light crates first.
fn test() -> Result<()> {
    guests::install_target()?;
    shell::cargo([
        "test",
        "--package",
        "trialbox-core",
        "--package",
        "trialbox-samplers",
        "--package",
        "trialbox-storage",
        "--package",
        "trialbox-bench",
    ])?;
    shell::cargo(["test", "--package", "trialbox-guest", "--package", "trialbox-guest-macros"])?;
    guests::test_all()?;
    guests::build_all()?;
    let skipped = missing_tiers();
    let packages = ["trialbox-runtime", "trialbox", "trialbox-fuzz", "xtask"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    // Where processes are let die; `demo` checks that a release cannot.
    let test = ["test", "--features", "trialbox/failpoints"].into_iter().chain(packages);
    let skips = skipped.iter().flat_map(|filter| ["--skip", filter]);
    let not_on_slurm = ["--", "--skip", slurm::TESTS, "--skip", slurm::TESTS_WITH_FREEZER];
    shell::cargo(test.clone().chain(not_on_slurm).chain(skips.clone()))?;
    // They mostly wait, so more run at once than there are cores, but not beside tests that are busy. The packages
    // are the same as before: of fewer, some would be built again with fewer features.
    let on_slurm = ["--test", "it", "--", "--test-threads", "10", "slurm::"];
    shell::cargo(test.chain(on_slurm).chain(skips))?;
    let n_skipped = skipped.len() + usize::from(!fuzz::run_briefly()?);
    println!("all tests passed; {n_skipped} tiers skipped");
    Ok(())
}

/// Which tests this machine cannot run, as filters of their names; says what they need.
fn missing_tiers() -> Vec<&'static str> {
    let tiers = [
        (
            "interop",
            "the tests against Python's Optuna need Python 3 with venv",
            python::install().map(|_| ()),
        ),
        ("two_nodes::", "the tests of two nodes need bindfs and FUSE", fuse::find()),
        (slurm::TESTS, "the tests on a Slurm cluster need slurmctld and slurmd", slurm::find()),
        (
            slurm::TESTS_WITH_FREEZER,
            "the tests of Slurm's signals need its programs and the freezer of cgroups version 1",
            slurm::find_with_freezer(),
        ),
        (
            "shellcheck",
            "the test of scripts for sbatch needs shellcheck",
            shell::find("shellcheck"),
        ),
    ];
    let missing = tiers.into_iter().filter_map(|(filter, needs, found)| {
        let problem = found.err()?;
        println!("skipped 1 tier: {needs}: {problem:#}");
        Some(filter)
    });
    missing.collect()
}

/// Everything that a reviewer should not have to look for.
fn check() -> Result<()> {
    guests::install_target()?;
    shell::cargo(["fmt", "--all", "--check"])?;
    for features in [&[][..], &["--features", "trialbox/failpoints"]] {
        let clippy = ["clippy", "--workspace", "--all-targets"].iter().chain(features);
        shell::cargo(clippy.chain(&["--", "--deny", "warnings"]).copied())?;
    }
    shell::cargo_with(
        &[("RUSTDOCFLAGS", "--deny warnings")],
        ["doc", "--workspace", "--no-deps", "--document-private-items"],
    )?;
    guests::check_all()?;
    tidy::run()
}
