//! The commands of contributors and CI, as `cargo xtask COMMAND`. A command installs what it needs by itself.
#![expect(clippy::print_stdout, reason = "a command for people, who watch it")]

mod bench;
mod checks;
mod demo;
mod differential;
mod dist;
mod fuse;
mod fuzz;
mod guests;
mod mutants;
mod picture;
mod postgres;
mod python;
mod shell;
mod slurm;
mod spin;
mod stage;
mod tidy;
mod tiers;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The commands of contributors and CI.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build trialbox and an objective, and run a real study to its best trial
    Demo,
    /// Set up and run all tests, or the named tiers
    Test(Names),
    /// Check formatting, clippy, documentation and the repository's own rules, or the named parts
    Check(Names),
    /// Run `check`, then `test`
    Ci,
    /// Check the repository's own rules
    Tidy {
        /// Count violations of each rule per crate, or list those of RULE
        #[arg(long, value_name = "RULE", num_args = 0..=1)]
        report: Option<Option<String>>,
    },
    /// Record a study in a terminal, as README shows it
    Picture,
    /// Build a static binary for release, and pack it with what belongs beside it into target/dist
    Dist(dist::DistArgs),
    /// Compile the example objectives to target/guests/wasm32-wasip2/release
    BuildGuests,
    /// Fuzz the readers of what others wrote, guided by coverage
    Fuzz {
        /// The targets [default: all]
        #[arg(value_parser = fuzz::TARGETS)]
        targets: Vec<String>,
        /// The time for each target
        #[arg(long, value_name = "N", default_value_t = 30)]
        seconds: u32,
    },
    /// Write random studies with releases of Optuna and with trialbox, read them with both, and print differences
    Differential(differential::DifferentialArgs),
    /// Change the light crates in small ways, and list the changes that no light test notices
    Mutants(mutants::MutantsArgs),
    /// Run experiments that print ratios measured in one run
    Bench {
        /// The experiment [default: trial, guest, sandbox, reports and herd]
        experiment: Option<bench::Experiment>,
        /// Words for `samplers`, `suggest`, `pruning` and `pruners`; with `help` these list them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// The names of stages.
#[derive(clap::Args)]
struct Names {
    /// The stages to run [default: all]
    names: Vec<String>,
    /// List the stages, what they need and how long they take
    #[arg(long)]
    list: bool,
}

fn main() -> Result<()> {
    if fuzz::stand_in_for_compiler()? {
        return Ok(());
    }
    match Cli::parse().command {
        Command::Demo => demo::run(),
        Command::Test(names) => names.run("tests", tiers::stages()),
        Command::Check(names) => names.run("check", checks::stages()),
        Command::Ci => stage::for_each(
            [("check", checks::stages()), ("tests", tiers::stages())],
            |(title, stages)| stage::run_all(title, &stages),
        ),
        Command::Tidy { report: None } => tidy::run(),
        Command::Tidy { report: Some(rule) } => tidy::report(rule.as_deref()),
        Command::Picture => picture::run(),
        Command::Dist(arguments) => arguments.run(),
        Command::BuildGuests => guests::build_all().map(|_| ()),
        Command::Fuzz { targets, seconds } => fuzz::run_named(&targets, seconds),
        Command::Differential(arguments) => arguments.run(),
        Command::Mutants(arguments) => arguments.run(),
        Command::Bench { experiment, words } => bench::run_named(experiment, &words),
    }
}

impl Names {
    /// Runs or lists the named stages.
    fn run(&self, title: &str, stages: Vec<stage::Stage>) -> Result<()> {
        let stages = stage::select(stages, &self.names)?;
        if self.list {
            stage::list(&stages);
            return Ok(());
        }
        stage::run_all(title, &stages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_for_a_comparison_are_passed_on() {
        let words = ["cargo xtask", "bench", "samplers", "run", "--seeds", "0-3"];
        let Command::Bench { words, .. } = Cli::parse_from(words).command else {
            panic!("a bench")
        };
        assert_eq!(words, ["run", "--seeds", "0-3"]);
    }
}
