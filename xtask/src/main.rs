//! What contributors and CI run, as `cargo xtask COMMAND`. Every command installs what it needs itself.
#![expect(clippy::print_stdout, reason = "a command for people, who watch it")]

mod bench;
mod demo;
mod guests;
mod python;
mod shell;
mod tidy;

use anyhow::Result;

const HELP: &str = "\
cargo xtask COMMAND

  demo          build trialbox and an objective, and run a real study to its best trial
  test          set up and run all tests
  check         formatting, clippy, documentation, licences, dependency directions
  ci            check, then test: what CI runs
  tidy          only the licences and dependency directions
  build-guests  compile the example objectives to target/guests/wasm32-wasip2/release
  bench [NAME]  named experiments, with ratios measured in one run: trial, guest";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(),
        Some("test") => test(),
        Some("check") => check(),
        Some("ci") => check().and_then(|()| test()),
        Some("tidy") => tidy::run(),
        Some("build-guests") => guests::build_all().map(|_| ()),
        Some("bench") => bench::run_named(arguments.get(1).map(String::as_str)),
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
    ])?;
    shell::cargo(["test", "--package", "trialbox-guest", "--package", "trialbox-guest-macros"])?;
    guests::test_all()?;
    guests::build_all()?;
    let mut arguments = vec![
        "test",
        "--package",
        "trialbox-runtime",
        "--package",
        "trialbox",
        "--package",
        "xtask",
        // Where processes are let die; `demo` checks that a release cannot.
        "--features",
        "trialbox/failpoints",
    ];
    let skipped = match python::install() {
        Ok(_) => 0,
        Err(problem) => {
            println!(
                "skipped 1 tier: the tests against Python's Optuna need Python 3 with venv: {problem:#}"
            );
            arguments.extend(["--", "--skip", "interop::", "--skip", "interop_kill::"]);
            1
        }
    };
    shell::cargo(arguments)?;
    println!("all tests passed; {skipped} tiers skipped");
    Ok(())
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
