//! What a job asks Slurm for.

use super::quote::directive_quote;
use crate::args::storage::{parse_count, parse_duration};
use crate::cluster::slurm::{format_time, read_time};
use crate::error::CommandError;
use std::num::NonZeroU32;
use std::time::Duration;

/// What each task asks Slurm for, and so does the closing job.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Slurm")]
pub(crate) struct SlurmArgs {
    /// How long a task may take, as sbatch reads it (90 is 90 minutes; 2:00:00, 1-0) or such as 90s, 20m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) time: Option<Duration>,

    /// The account that pays
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    account: Option<String>,

    /// The memory of a task, such as 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_mem)]
    mem: Option<String>,

    /// The CPUs of a task [default: as many as --jobs, if that is given]
    #[arg(long, visible_alias = "cpus-per-task", value_name = "N", value_parser = parse_count)]
    cpus: Option<NonZeroU32>,

    /// What else a task needs, such as gpu:1
    #[arg(long, value_name = "LIST", value_parser = one_line)]
    gres: Option<String>,

    /// The partition
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    partition: Option<String>,

    /// Any other flag of sbatch, after `--`, such as -- --constraint=skylake --mail-type=END
    #[arg(last = true, index = 2, help_heading = None::<&str>, value_name = "SBATCH FLAG", value_parser = one_line)]
    sbatch: Vec<String>,
}

/// Flags of sbatch that would take the array apart, or its tasks away from their study.
const REFUSED: [(&str, &str); 10] = [
    ("--array", "use --trials, --trials-per-task and --parallel"),
    ("-a", "use --trials, --trials-per-task and --parallel"),
    ("--wrap", "the script is what `submit` writes"),
    ("--wait", "`submit` goes on; `squeue` shows how far the job is"),
    ("-W", "`submit` goes on; `squeue` shows how far the job is"),
    ("--chdir", "paths are meant from the current folder: go there first"),
    ("-D", "paths are meant from the current folder: go there first"),
    (
        "--signal",
        "none is needed: tasks know when their job ends, and --reserve says how long before a trial stops",
    ),
    ("--test-only", "--dry-run asks Slurm and submits nothing"),
    (
        "--no-requeue",
        "edit the script if a job must not be started again, and submit that with sbatch",
    ),
];

impl SlurmArgs {
    /// Refuses what `submit` decides itself.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if let Some(stray) = self.sbatch.first().filter(|word| !word.starts_with('-')) {
            return Err(CommandError::usage(
                format!("`{stray}` after `--` is no flag of sbatch"),
                "write flags there, each with its value, such as -- --constraint=skylake",
            ));
        }
        // To sbatch, a word that is no flag's value is the script.
        let is_loose =
            |flag: &Vec<String>| flag.len() > 1 + usize::from(!flag[0].starts_with("--"));
        if let Some(flag) = self.others().find(is_loose) {
            return Err(CommandError::usage(
                format!("`{}` after `--` is not clear", flag.join(" ")),
                "write the value of a long flag with `=`, such as -- --constraint=skylake",
            ));
        }
        let refused = |(flag, help): &(&str, &str)| {
            // sbatch takes a long flag also by its beginning.
            let is_it = |word: &&String| match flag.strip_prefix("--") {
                Some(_) => {
                    let name = word.split('=').next().unwrap_or_default();
                    name.len() > 2 && flag.starts_with(name)
                }
                None => word.starts_with(flag),
            };
            let found = self.sbatch.iter().find(is_it)?;
            Some((found.clone(), (*help).to_owned()))
        };
        match REFUSED.iter().find_map(refused) {
            Some((flag, help)) => {
                Err(CommandError::usage(format!("`{flag}` after `--` cannot be set here"), help))
            }
            None => Ok(()),
        }
    }

    /// The resources as flags of sbatch, each with its value; those after `--` come last, so that they win.
    pub(super) fn flags(&self, jobs: NonZeroU32) -> Vec<Vec<String>> {
        let cpus = self.cpus.or_else(|| Some(jobs).filter(|jobs| jobs.get() > 1));
        let named = [
            ("time", self.time.map(format_time)),
            ("mem", self.mem.clone()),
            ("cpus-per-task", cpus.map(|cpus| cpus.to_string())),
            ("account", self.account.clone()),
            ("gres", self.gres.clone()),
            ("partition", self.partition.clone()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(flag, value)| Some(vec![format!("--{flag}={}", value?)]));
        named.chain(self.others()).collect()
    }

    /// The same for a job with a dependency and a log of its own.
    pub(super) fn flags_of_closing_job(&self, jobs: NonZeroU32) -> Vec<Vec<String>> {
        let own = ["-d", "--dependency", "-o", "--output"];
        let is_own = |flag: &Vec<String>| own.iter().any(|own| flag[0].starts_with(own));
        self.flags(jobs).into_iter().filter(|flag| !is_own(flag)).collect()
    }

    /// Whether a time limit is given in any way.
    pub(super) fn has_time(&self) -> bool {
        self.time.is_some()
            || self.other(&["--time", "-t"]).is_some()
            || std::env::var_os("SBATCH_TIMELIMIT").is_some()
    }

    /// Where the log goes, if that is said after `--`.
    pub(super) fn log(&self) -> Option<String> {
        self.other(&["--output", "-o"])
    }

    /// The value of a flag after `--`, by its names.
    fn other(&self, names: &[&str]) -> Option<String> {
        self.others().find_map(|words| {
            let (first, second) = (words.first()?, words.get(1));
            let attached = names.iter().find_map(|name| {
                let rest = first.strip_prefix(name)?;
                match rest.strip_prefix('=') {
                    Some(value) => Some(value.to_owned()),
                    None => Some(rest.to_owned()).filter(|_| !name.starts_with("--")),
                }
            });
            match (attached, names.contains(&first.as_str())) {
                (_, true) => second.cloned(),
                (attached, false) => attached,
            }
        })
    }

    /// The flags after `--`, each with its value.
    fn others(&self) -> impl Iterator<Item = Vec<String>> + use<> {
        let mut groups: Vec<Vec<String>> = Vec::new();
        for word in &self.sbatch {
            match groups.last_mut() {
                Some(group) if !word.starts_with('-') => group.push(word.clone()),
                _ => groups.push(vec![word.clone()]),
            }
        }
        groups.into_iter()
    }
}

/// A flag as a line `#SBATCH …` has it.
pub(super) fn directive(flag: &[String]) -> String {
    let quoted: Vec<String> = flag.iter().map(|word| directive_quote(word)).collect();
    quoted.join(" ")
}

/// Reads a time as sbatch does, or with a unit.
fn parse_time(text: &str) -> Result<Duration, String> {
    let is_slurms = text.chars().all(|c| c.is_ascii_digit() || ":-".contains(c));
    // Without a unit, sbatch's minutes would be our seconds.
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let time = match (is_slurms, has_unit) {
        (true, _) => read_time(text),
        (false, true) => parse_duration(text).ok(),
        (false, false) => None,
    };
    time.filter(|time| !time.is_zero()).ok_or_else(|| {
        format!(
            "`{text}` is no time limit; write minutes, 2:00:00, 1-0 for a day, or such as 90s or 2h"
        )
    })
}

/// Reads an amount of memory as sbatch does, which knows no `GiB`.
fn parse_mem(text: &str) -> Result<String, String> {
    let slurms = text.strip_suffix("iB").or_else(|| text.strip_suffix('B')).unwrap_or(text);
    let digits = slurms.trim_end_matches(|c: char| "KMGTkmgt".contains(c));
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if is_number && slurms.len() - digits.len() <= 1 {
        Ok(slurms.to_owned())
    } else {
        Err(format!(
            "`{text}` is no amount of memory; write a whole number with K, M, G or T, such as 4G"
        ))
    }
}

/// Reads what has to fit on a line of a script.
fn one_line(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("it must be one line, and not empty".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives(flags: &[Vec<String>]) -> Vec<String> {
        flags.iter().map(|flag| directive(flag)).collect()
    }

    fn others(words: &[&str]) -> SlurmArgs {
        let sbatch = words.iter().map(|word| (*word).to_owned()).collect();
        SlurmArgs { sbatch, ..SlurmArgs::default() }
    }

    #[test]
    fn a_time_is_read_as_sbatch_reads_it_and_with_a_unit() {
        for (text, seconds) in [
            ("90", 5400),
            ("1:30", 90),
            ("2:00:00", 7200),
            ("1-0", 86400),
            ("90s", 90),
            ("1.5h", 5400),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "1.5", "-5", "soon", "1:2:3:4"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_written_as_sbatch_knows_it() {
        for (text, want) in [("4G", "4G"), ("4GiB", "4G"), ("512MB", "512M"), ("2000", "2000")] {
            assert_eq!(parse_mem(text), Ok(want.to_owned()), "{text}");
        }
        for text in ["", "G", "1.5G", "4GG", "much", "-1G"] {
            assert!(parse_mem(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_after_the_dashes_keep_their_values() {
        let args = others(&["--constraint=a b", "-t", "10", "-o", "x y.log", "--exclusive"]);
        let jobs = NonZeroU32::MIN;
        let want = ["\"--constraint=a b\"", "-t 10", "-o \"x y.log\"", "--exclusive"];
        assert_eq!(directives(&args.flags(jobs)), want);
        assert_eq!((args.has_time(), args.log().as_deref()), (true, Some("x y.log")));
        for (word, value) in [("--output=a.log", "a.log"), ("-oa.log", "a.log")] {
            assert_eq!(others(&[word]).log().as_deref(), Some(value));
        }
        assert_eq!(others(&["--open-mode=append"]).log(), None);
        let depends =
            others(&["-d", "afterok:1", "--dependency=singleton", "-p", "long", "--output=a b"]);
        assert_eq!(directives(&depends.flags_of_closing_job(jobs)), ["-p long"]);
    }

    #[test]
    fn what_would_take_the_array_apart_is_refused() {
        for word in ["--array=1-5", "-a", "-a1-5", "--array", "--wrap=x", "--test-only", "stray"] {
            assert!(others(&[word]).check().is_err(), "{word}");
        }
        // sbatch knows them by their beginnings, too.
        for word in ["--arr=1-3", "--no-req", "--wait", "-W", "--chd=/x", "-D/x", "--sig=B:USR1"] {
            assert!(others(&[word]).check().is_err(), "{word}");
        }
        assert!(others(&["--exclusive", "foo"]).check().is_err());
        assert!(others(&["-t", "10", "foo"]).check().is_err());
        assert!(others(&["-t", "10", "--exclusive"]).check().is_ok());
        for word in ["--account=x", "--wait-all-nodes=1", "--constraint", "-p"] {
            assert!(others(&[word]).check().is_ok(), "{word}");
        }
    }

    #[test]
    fn workers_side_by_side_get_a_cpu_each_unless_said_otherwise() {
        let four = NonZeroU32::new(4).expect("not 0");
        assert_eq!(directives(&SlurmArgs::default().flags(four)), ["--cpus-per-task=4"]);
        let said = SlurmArgs { cpus: NonZeroU32::new(2), ..SlurmArgs::default() };
        assert_eq!(directives(&said.flags(four)), ["--cpus-per-task=2"]);
    }
}
