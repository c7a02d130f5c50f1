//! The resources of a job, as flags of sbatch.

use super::quote::directive_quote;
use crate::args::quantity::{parse_count, parse_duration};
use crate::cluster::slurm::{format_time, read_time};
use crate::error::CommandError;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

/// The resources of each task and of the closing job.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Slurm")]
pub(crate) struct SlurmArgs {
    /// Time limit of a task: 90 (minutes), 2:00:00, 1-0 (days), 90s, 20m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) time: Option<Duration>,

    /// Account to charge
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    account: Option<String>,

    /// Memory of a task, in megabytes or with a unit, such as 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_mem)]
    mem: Option<String>,

    /// CPUs of a task [default: --jobs, times --cpus-per-trial]
    #[arg(long, visible_alias = "cpus-per-task", value_name = "N", value_parser = parse_count)]
    cpus: Option<NonZeroU32>,

    /// Other resources of a task, such as gpu:1; --gpus-per-trial asks for GPUs too
    #[arg(long, value_name = "LIST", value_parser = one_line)]
    gres: Option<String>,

    /// Partition to submit to
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    partition: Option<String>,

    /// Other flags of sbatch, from the words after `--`.
    #[arg(skip)]
    sbatch: Vec<String>,
}

/// The needs of a task that follow from those of its trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The CPUs.
    pub(super) cpus: Option<NonZeroU32>,
    /// The GPUs.
    pub(super) gpus: Option<NonZeroU32>,
}

/// Divides the words after `--` into flags of sbatch, which start with a dash, and behind a second `--` the command of
/// a program. Without flags of sbatch the command follows immediately.
pub(super) fn split_words(words: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let starts_with_flag = words.first().is_some_and(|word| word.as_bytes().starts_with(b"-"));
    if !starts_with_flag {
        return (vec![], words);
    }
    let mut parts = words.splitn(2, |word| word == "--").map(<[OsString]>::to_vec);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The flags of sbatch that would break the array, or separate its tasks from their study.
const FORBIDDEN: [(&str, &str); 10] = [
    ("--array", "use --trials, --trials-per-task and --parallel"),
    ("-a", "use --trials, --trials-per-task and --parallel"),
    ("--wrap", "`submit` writes the script"),
    ("--wait", "`submit` does not wait for the job; `squeue` shows its progress"),
    ("-W", "`submit` does not wait for the job; `squeue` shows its progress"),
    ("--chdir", "paths are relative to the current folder: change to the right one first"),
    ("-D", "paths are relative to the current folder: change to the right one first"),
    (
        "--signal",
        "tasks know when their job ends; --reserve sets how long before that they stop a trial",
    ),
    ("--test-only", "use --dry-run, which asks Slurm and submits nothing"),
    (
        "--no-requeue",
        "remove --requeue from the script of a --dry-run, and submit that with sbatch",
    ),
];

impl SlurmArgs {
    /// Takes the flags of sbatch that were given after `--`.
    ///
    /// # Errors
    /// Fails for words that a script cannot hold.
    pub(super) fn set_others(&mut self, words: &[OsString]) -> Result<(), CommandError> {
        for word in words {
            let text = word.to_str().ok_or_else(|| {
                let found = format!("expected UTF-8 for the script, found `{}`", word.display());
                CommandError::usage(found, "write the flag in ASCII")
            })?;
            let line = one_line(text).map_err(|error| {
                CommandError::usage(error, "write each flag of sbatch on one line")
            })?;
            self.sbatch.push(line);
        }
        Ok(())
    }

    /// Refuses flags after `--` that `submit` sets itself, or whose values are ambiguous.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if let Some(stray) = self.sbatch.first()
            && !stray.starts_with('-')
        {
            return Err(CommandError::usage(
                format!("expected a flag of sbatch after `--`, found `{stray}`"),
                "write each value after its flag, such as -- --constraint=skylake",
            ));
        }
        for flag in self.others() {
            // sbatch takes a word that is not the value of a flag for the script.
            if flag.len() > 1 + usize::from(!flag[0].starts_with("--")) {
                return Err(CommandError::usage(
                    format!("expected one flag of sbatch after `--`, found `{}`", flag.join(" ")),
                    "write the value of a long flag with `=`, such as -- --constraint=skylake",
                ));
            }
        }
        for (flag, help) in FORBIDDEN {
            if let Some(word) = self.sbatch.iter().find(|word| is_flag(word, flag)) {
                return Err(CommandError::usage(format!("cannot set `{word}` after `--`"), help));
            }
        }
        Ok(())
    }

    /// Returns the resources as flags of sbatch, each with its value. sbatch prefers the flags after `--`, which come
    /// last.
    pub(super) fn flags(&self, needs: &Needs) -> Vec<Vec<String>> {
        let cpus = self.cpus.or(needs.cpus);
        let named = [
            ("time", self.time.map(format_time)),
            ("mem", self.mem.clone()),
            ("cpus-per-task", cpus.map(|cpus| cpus.to_string())),
            ("account", self.account.clone()),
            ("gres", self.gres_with(needs.gpus)),
            ("partition", self.partition.clone()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(flag, value)| Some(vec![format!("--{flag}={}", value?)]));
        named.chain(self.others()).collect()
    }

    /// Returns the value of `--gres` with the GPUs of the trials, unless the user asks for GPUs in another way.
    fn gres_with(&self, gpus: Option<NonZeroU32>) -> Option<String> {
        let given = self.gres.as_deref();
        let asks_itself = given.is_some_and(|list| {
            list.split(',').any(|item| item.trim_start_matches("gres/").starts_with("gpu"))
        }) || self
            .sbatch
            .iter()
            .any(|word| ["--gpus", "--gres", "-G"].iter().any(|flag| word.starts_with(flag)));
        let own = gpus.filter(|_| !asks_itself).map(|gpus| format!("gpu:{gpus}"));
        let both: Vec<String> = given.map(str::to_owned).into_iter().chain(own).collect();
        Some(both.join(",")).filter(|list| !list.is_empty())
    }

    /// Returns the resources without flags that the closing job sets itself: its dependency and its log.
    pub(super) fn flags_of_closing_job(&self, needs: &Needs) -> Vec<Vec<String>> {
        let own = ["-d", "--dependency", "-o", "--output"];
        let is_own = |flag: &Vec<String>| own.iter().any(|own| flag[0].starts_with(own));
        self.flags(needs).into_iter().filter(|flag| !is_own(flag)).collect()
    }

    /// Returns whether a time limit is given in any way.
    pub(super) fn has_time(&self) -> bool {
        self.time.is_some()
            || self.other(&["--time", "-t"]).is_some()
            || std::env::var_os("SBATCH_TIMELIMIT").is_some()
    }

    /// Returns the path of the log, if it was set after `--`.
    pub(super) fn log(&self) -> Option<String> {
        self.other(&["--output", "-o"])
    }

    /// Returns the value of a flag after `--`, by its long and short name.
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

    /// Returns the flags after `--`, each with its value.
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

/// Returns whether a word sets a flag of sbatch. sbatch accepts a long flag also by its first letters.
fn is_flag(word: &str, flag: &str) -> bool {
    if !flag.starts_with("--") {
        return word.starts_with(flag);
    }
    let name = word.split('=').next().unwrap_or_default();
    name.len() > 2 && flag.starts_with(name)
}

/// Formats a flag for a line `#SBATCH …`.
pub(super) fn directive(flag: &[String]) -> String {
    let quoted: Vec<String> = flag.iter().map(|word| directive_quote(word)).collect();
    quoted.join(" ")
}

/// Reads a time as sbatch does, or with a unit.
fn parse_time(text: &str) -> Result<Duration, String> {
    let is_slurms = text.chars().all(|c| c.is_ascii_digit() || ":-".contains(c));
    // A bare number is minutes to sbatch and seconds to trialbox, so a time such as 1.5 is refused.
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let time = match (is_slurms, has_unit) {
        (true, _) => read_time(text),
        (false, true) => parse_duration(text).ok(),
        (false, false) => None,
    };
    time.filter(|time| !time.is_zero()).ok_or_else(|| {
        format!(
            "expected a time limit such as 90 (minutes), 2:00:00, 1-0, 90s or 2h, found `{text}`"
        )
    })
}

/// The megabytes that hold no task.
const FEW_MEGABYTES: u64 = 32;

/// Reads an amount of memory, and writes `GiB` and `GB` as `G`, which sbatch accepts.
fn parse_mem(text: &str) -> Result<String, String> {
    let slurms = text.strip_suffix("iB").or_else(|| text.strip_suffix('B')).unwrap_or(text);
    let digits = slurms.trim_end_matches(|c: char| "KMGTkmgt".contains(c));
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if is_number
        && slurms == digits
        && digits.parse().is_ok_and(|number: u64| number < FEW_MEGABYTES)
    {
        return Err(format!(
            "expected a size such as 4G, found `{text}`, which is megabytes to sbatch: did you mean {text}G?"
        ));
    }
    if is_number && slurms.len() - digits.len() <= 1 {
        Ok(slurms.to_owned())
    } else {
        Err(format!("expected a whole number with K, M, G or T, such as 4G, found `{text}`"))
    }
}

/// Accepts a value that fits on a line of a script.
fn one_line(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("expected a value, found an empty text".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("expected a value on one line, found a control character".to_owned());
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
        let jobs = &Needs::default();
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
    fn a_flag_that_would_break_the_array_is_refused() {
        for word in ["--array=1-5", "-a", "-a1-5", "--array", "--wrap=x", "--test-only", "stray"] {
            assert!(others(&[word]).check().is_err(), "{word}");
        }
        // sbatch accepts them by their first letters too.
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
    fn parallel_workers_get_a_cpu_each_unless_cpus_is_given() {
        let four = Needs { cpus: NonZeroU32::new(4), gpus: None };
        assert_eq!(directives(&SlurmArgs::default().flags(&four)), ["--cpus-per-task=4"]);
        let explicit = SlurmArgs { cpus: NonZeroU32::new(2), ..SlurmArgs::default() };
        assert_eq!(directives(&explicit.flags(&four)), ["--cpus-per-task=2"]);
    }

    #[test]
    fn gpus_of_trials_are_asked_for_unless_the_user_does_it() {
        let two = Needs { cpus: None, gpus: NonZeroU32::new(2) };
        let with_gres =
            |gres: &str| SlurmArgs { gres: Some(gres.to_owned()), ..SlurmArgs::default() };
        for (args, want) in [
            (SlurmArgs::default(), "--gres=gpu:2"),
            (with_gres("tmpdisk:10"), "--gres=tmpdisk:10,gpu:2"),
            (with_gres("gpu:a100:1"), "--gres=gpu:a100:1"),
            (others(&["--gpus-per-node=h100:2"]), "--gpus-per-node=h100:2"),
        ] {
            assert_eq!(directives(&args.flags(&two)), [want]);
        }
    }
}
