//! Coverage-guided fuzzing with a stable compiler: `cargo xtask fuzz [TARGET] [--seconds N]`.
//!
//! Only the crates of the workspace count their coverage: cargo calls this program in the compiler's place for them
//! alone, and it adds LLVM's flags. So the wasm engine is neither slowed down nor built a second time.

use crate::shell::{cargo_command, root, run};
use crate::stage::{Tally, for_each};
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// The programs of the crate `fuzz`.
pub(crate) const TARGETS: [&str; 7] =
    ["protocol", "timing", "description", "precheck", "database", "json", "distribution"];

/// The variable that is set where this program stands in for the compiler.
const AS_COMPILER: &str = "TRIALBOX_FUZZ_COMPILER";

/// Flags that make LLVM count the edges that were taken and report comparisons, and that keep Rust's own checks.
const COVERAGE: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

/// Runs the compiler as cargo asks for, with coverage, if cargo has called this program in the compiler's place.
/// Returns whether it has.
pub(crate) fn stand_in_for_compiler() -> Result<bool> {
    if std::env::var_os(AS_COMPILER).is_none() {
        return Ok(false);
    }
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next().context("cargo names no compiler")?;
    let arguments: Vec<OsString> = arguments.collect();
    let is_for_the_build =
        arguments.iter().any(|found| found == "proc-macro" || found == "build_script_build");
    let flags = if is_for_the_build { &[][..] } else { &COVERAGE };
    let status = Command::new(compiler).args(&arguments).args(flags).status()?;
    ensure!(status.success(), "the compiler failed: {status}");
    Ok(true)
}

/// Runs one target or all, for so long each.
pub(crate) fn run_named(targets: &[String], seconds: u32) -> Result<()> {
    build()?;
    let all = TARGETS.iter().copied();
    let named = targets.iter().map(String::as_str);
    let targets: Vec<&str> = if targets.is_empty() { all.collect() } else { named.collect() };
    for_each(targets, |target| run_target(target, seconds))
}

/// Runs all targets for ten seconds each; a target counts as a test.
pub(crate) fn run_briefly(tally: &mut Tally) -> Result<()> {
    build()?;
    for_each(TARGETS, |target| {
        let ran = run_target(target, 10);
        match &ran {
            Ok(()) => tally.passed += 1,
            Err(_) => {
                tally.failed += 1;
                tally.names.push(target.to_owned());
            }
        }
        ran
    })
}

/// Checks that there is a compiler for libFuzzer.
pub(crate) fn find_compiler() -> Result<()> {
    let name = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(&name);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().with_context(|| format!("{name:?} cannot be started"))?;
    ensure!(status.success(), "{name:?} does not work: {status}");
    Ok(())
}

/// Compiles all targets.
fn build() -> Result<()> {
    let mut build =
        cargo_command(["build", "--package", "trialbox-fuzz", "--features", "engine", "--bins"]);
    run(build.env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?).env(AS_COMPILER, "1"))
}

/// Runs one target. New inputs go to `target`; those that are worth keeping are copied to `corpus` by hand.
fn run_target(target: &str, seconds: u32) -> Result<()> {
    let found = root().join("target/fuzz").join(target);
    std::fs::create_dir_all(&found)?;
    let program = root().join("target/debug").join(target);
    let mut command = Command::new(&program);
    command.arg(&found).arg(root().join("fuzz/corpus").join(target));
    command.arg(format!("-max_total_time={seconds}"));
    // Without a line for each input that reaches further, of which there are thousands.
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}", crash_prefix(&found).display()));
    run(&mut command).with_context(|| {
        let program = program.display();
        format!(
            "the input is named above; `{program} INPUT` runs it again. \
             Keep it in fuzz/corpus/{target}, where `cargo test -p trialbox-fuzz` finds it"
        )
    })
}

/// Returns where a crash is kept: beside the inputs that were found, so that the next run does not start with it.
fn crash_prefix(found: &Path) -> std::path::PathBuf {
    found.with_extension("broken-")
}
