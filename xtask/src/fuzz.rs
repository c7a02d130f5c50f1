//! Coverage-guided fuzzing with a stable compiler: `cargo xtask fuzz [TARGET] [--seconds N]`.
//!
//! Only the crates of the workspace count their coverage: cargo calls this program in the compiler's place for them
//! alone, and it adds LLVM's flags. So the wasm engine is neither slowed down nor built a second time.

use crate::shell::{root, run};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// The programs of the crate `fuzz`.
const TARGETS: [&str; 4] = ["protocol", "precheck", "json", "distribution"];

/// Set where this program stands in for the compiler.
const AS_COMPILER: &str = "TRIALBOX_FUZZ_COMPILER";

/// What makes LLVM count the edges that were taken and tell what was compared, and what keeps Rust's own checks.
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

/// Runs the compiler as cargo asked for, with coverage, if it is for that that this program was called.
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
pub(crate) fn run_named(arguments: &[String]) -> Result<()> {
    let (mut targets, mut seconds) = (Vec::new(), 30);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let given = rest.next().context("`--seconds` wants a number")?;
            seconds = given.parse().with_context(|| format!("`--seconds {given}`"))?;
        } else if TARGETS.contains(&argument.as_str()) {
            targets.push(argument.as_str());
        } else {
            bail!("there is no target `{argument}`; there are {}", TARGETS.join(", "));
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    run_targets(&targets, seconds)
}

/// Runs all targets for a short time each; `false` where there is nothing to build them with.
pub(crate) fn run_briefly() -> Result<bool> {
    if let Err(problem) = find_compiler() {
        println!("skipped 1 tier: fuzzing needs a C++ compiler: {problem:#}");
        return Ok(false);
    }
    run_targets(&TARGETS, 10).map(|()| true)
}

/// Looks for the compiler of libFuzzer.
fn find_compiler() -> Result<()> {
    let name = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(&name);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().with_context(|| format!("{name:?} cannot be started"))?;
    ensure!(status.success(), "{name:?} does not work: {status}");
    Ok(())
}

fn run_targets(targets: &[&str], seconds: u32) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--package", "trialbox-fuzz", "--features", "engine", "--bins"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?).env(AS_COMPILER, "1");
    run(build.current_dir(root()))?;
    targets.iter().try_for_each(|target| run_target(target, seconds))
}

/// New inputs go to `target`, only those that are worth keeping are copied to `corpus` by hand.
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
        format!("the input is named above; `{program} INPUT` runs it again. Keep it in fuzz/corpus/{target}, where `cargo test -p trialbox-fuzz` finds it")
    })
}

/// Beside the inputs that were found, so that the next run does not begin with the crash.
fn crash_prefix(found: &Path) -> std::path::PathBuf {
    found.with_extension("broken-")
}
