//! `cargo xtask bench samplers` and `bench suggest`: how good and how quick samplers are, ours and Optuna's.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command for people, who watch it")]

mod compared;
mod cost;
mod noise;
mod optuna;
mod problem;
mod problems;
mod proposer;
mod pruners;
mod pruning;
mod regret;
mod report;
mod results;
mod run;
mod selection;
mod stats;
mod suggest;
mod svg;
mod table;
mod wave;

use anyhow::{Result, bail};
use run::Places;
use selection::Options;
use std::path::{Path, PathBuf};

const HELP: &str = "\
cargo xtask bench samplers run|report [--OPTION VALUE]…
cargo xtask bench suggest [--samplers NAMES]
cargo xtask bench samplers cost [--samplers NAMES]
cargo xtask bench samplers wave [--samplers NAMES]
cargo xtask bench pruning run|report [--OPTION VALUE]…
cargo xtask bench pruners

  run      make the runs that are missing, and keep their raw results
  report   compare the first sampler with each of the others: Markdown and SVG
  suggest  the CPU time of one trial's suggestions
  cost     the CPU time of each of our samplers in studies of up to 10,000 trials
  wave     how far 64 trials that start in one instant keep apart
  pruning  how many steps of learning curves pruners save: run, then report
  pruners  the CPU time of one judgement of a running trial

  --samplers  tpe,optuna-tpe  names; Python's begin with optuna-
  --problems  all             names
  --seeds     0-19            one, or a range
  --trials    300             how long a run is
  --inflight  1,16            how many trials are under way at once
  --jobs      1               how many runs to make at once (run)
  --after     50,100,300      after how many trials to compare (report)
  --name      report          what the report's files are called (report)
  --pruners   nop,median,asha names (pruning; there --seeds is 0-9, --trials 60 and --problems digits,power_law)
  --results   benches/results/samplers  where the raw results and the report are";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, mut rest)) = words.split_first() else {
        println!("{HELP}");
        return Ok(());
    };
    if ["help", "--help", "-h"].contains(&command.as_str()) {
        println!("{HELP}");
        return Ok(());
    }
    let subcommand = rest.split_first().filter(|_| command == "pruning");
    if let Some((_, options)) = subcommand {
        rest = options;
    }
    let mut options = Options::parse(rest)?;
    let places = places(&mut options);
    match command.as_str() {
        "run" => {
            let (selection, jobs) = (options.take_selection()?, options.take_count("jobs", "1")?);
            options.finish()?;
            run::run(&selection, &places, jobs, &|line| println!("{line}"))
        }
        "report" => {
            let (selection, name) = (options.take_selection()?, options.take("name", "report"));
            let after = options.take_counts("after", "50,100,300")?;
            options.finish()?;
            selection.check_comparison(&after)?;
            report::report(&selection, &after, &places.results, &name)
        }
        "suggest" => {
            let samplers = options.take_list("samplers", "tpe,optuna-tpe");
            options.finish()?;
            println!("{}", suggest::run(&samplers, &places, &places.results)?);
            Ok(())
        }
        "cost" => {
            let samplers = options.take_list("samplers", "tpe,auto,gp,cmaes,nsga2,nsga3");
            options.finish()?;
            println!("{}", cost::run(&samplers, &places.results)?);
            Ok(())
        }
        "wave" => {
            let samplers = options.take_list("samplers", "tpe,auto,gp");
            let problems =
                options.take_list("problems", "hartmann6,mixcond,vessel4,hpobench_vehicle");
            options.finish()?;
            println!("{}", wave::run(&samplers, &problems, &places.results)?);
            Ok(())
        }
        "pruning" => {
            let word = subcommand.map(|(word, _)| word.as_str());
            pruning::command(word, options, &places, &|line| println!("{line}"))
        }
        "pruners" => {
            options.finish()?;
            println!("{}", pruners::run()?);
            Ok(())
        }
        other => bail!("unknown command `{other}`\n\n{HELP}"),
    }
}

fn places(options: &mut Options) -> Places {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().and_then(Path::parent).unwrap_or(here);
    Places {
        python: PathBuf::from(options.take("python", "python3")),
        script: here.join("optuna_side.py"),
        results: match options.take("results", "").as_str() {
            "" => run::kept_results(root),
            folder => PathBuf::from(folder),
        },
    }
}
