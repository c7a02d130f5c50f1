//! The scripts that sbatch gets, as people read them.

use super::quote::shell_quote;
use super::resources::directive;
use std::path::Path;

/// Says in a file that it may be written again.
pub(super) const MARK: &str = "Written by trialbox submit, which may write it again.";

/// What else the scripts say of that, to whoever changes them.
const KEEP: &str = "To keep your changes, delete the line above: submit then leaves this file alone, and asks for another --script.";

/// What both scripts have in common.
#[derive(Debug)]
pub(super) struct Common<'a> {
    /// The study's name as that of jobs and files.
    pub(super) label: &'a str,
    /// The study and its database, on one line.
    pub(super) of: &'a str,
    /// Where the command line was typed: relative paths on it hold there.
    pub(super) folder: &'a Path,
    /// The name of the log, a pattern of sbatch's.
    pub(super) log: &'a str,
    /// The resources, as flags of sbatch.
    pub(super) resources: &'a [Vec<String>],
}

/// The array's script.
#[derive(Debug)]
pub(super) struct ArrayScript<'a> {
    pub(super) common: Common<'a>,
    /// What it is, for whoever reads it.
    pub(super) summary: &'a str,
    pub(super) n_tasks: u64,
    pub(super) n_parallel: u64,
    /// `trialbox run …`.
    pub(super) run: &'a str,
}

/// The script of the job that comes after the array.
#[derive(Debug)]
pub(super) struct ClosingScript<'a> {
    pub(super) common: Common<'a>,
    /// `trialbox`, as the shell reads it.
    pub(super) program: &'a str,
    /// `"$trialbox" run …`.
    pub(super) run: &'a str,
    /// The flags that name the study.
    pub(super) study_flags: &'a str,
    /// Where the report goes.
    pub(super) report: &'a str,
}

impl ArrayScript<'_> {
    /// All flags of sbatch's, which on its command line win over the user's environment.
    pub(super) fn flags(&self) -> Vec<Vec<String>> {
        let array = format!("--array=1-{}%{}", self.n_tasks, self.n_parallel);
        self.common.flags(self.common.label, Some(array))
    }

    pub(super) fn text(&self) -> String {
        let head = self.common.head(self.summary, &self.flags());
        let run = self.run;
        format!("{head}\n# With exec, the signals of Slurm reach trialbox.\nexec {run}\n")
    }
}

impl ClosingScript<'_> {
    /// All flags of sbatch's, but for what the job waits for.
    pub(super) fn flags(&self) -> Vec<Vec<String>> {
        self.common.flags(&format!("{}-close", self.common.label), None)
    }

    pub(super) fn text(&self) -> String {
        let label = self.common.label;
        let summary = format!(
            "Once the array of {label} has ended, however it did: runs what is missing, and writes the report."
        );
        let head = self.common.head(&summary, &self.flags());
        let (program, run, study) = (self.program, self.run, self.study_flags);
        let (report, of) = (shell_quote(self.report), shell_quote(self.common.of));
        format!(
            "{head}\n\
             trialbox={program}\n\
             study=({study})\n\
             \n\
             # Bash passes a signal of Slurm's on only to what it does not wait for in the foreground.\n\
             trap 'kill -TERM \"$run\" 2>/dev/null' TERM INT HUP USR1 USR2\n\
             {run} &\n\
             run=$!\n\
             wait \"$run\" || wait \"$run\"\n\
             code=$?\n\
             \n\
             {{\n    \
                 echo '{MARK}'\n    \
                 echo {of}\n    \
                 date '+%Y-%m-%d %H:%M:%S %Z'\n    \
                 \"$trialbox\" study show \"${{study[@]}}\"\n    \
                 \"$trialbox\" study best \"${{study[@]}}\"\n    \
                 echo 'Failed trials:'\n    \
                 \"$trialbox\" study trials \"${{study[@]}}\" --state fail\n    \
                 echo 'Importance of the parameters, if there are trials enough:'\n    \
                 \"$trialbox\" study importance \"${{study[@]}}\"\n\
             }} > {report} 2>&1\n\
             exit \"$code\"\n"
        )
    }
}

impl Common<'_> {
    fn flags(&self, name: &str, array: Option<String>) -> Vec<Vec<String>> {
        let own = [
            Some(format!("--job-name={name}")),
            array,
            Some(format!("--chdir={}", self.folder.display())),
            Some(format!("--output={}", self.log)),
            Some("--open-mode=append".to_owned()),
            Some("--requeue".to_owned()),
        ];
        let own = own.into_iter().flatten().map(|flag| vec![flag]);
        own.chain(self.resources.iter().cloned()).collect()
    }

    fn head(&self, summary: &str, flags: &[Vec<String>]) -> String {
        let flags: String =
            flags.iter().map(|flag| format!("#SBATCH {}\n", directive(flag))).collect();
        let of = self.of;
        format!("#!/bin/bash\n# {MARK}\n# {KEEP}\n# {of}\n# {summary}\n{flags}")
    }
}

/// Whether `submit` wrote a file, script or report.
pub(super) fn is_ours(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains(MARK))
}

/// Says of what study a script or a report is: two of one name in different databases would write the same files.
pub(super) fn of_study(study: &str, database: &Path) -> String {
    let text = format!("{OF}{study} in {}", database.display());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What the line of [`of_study`] says in a file of ours.
pub(super) fn study_of(text: &str) -> Option<&str> {
    text.lines().take(5).find_map(|line| {
        let line = line.strip_prefix("# ").unwrap_or(line);
        line.starts_with(OF).then_some(line)
    })
}

/// Begins that line.
const OF: &str = "Of study ";

#[cfg(test)]
mod tests {
    use super::*;

    fn common<'a>(log: &'a str, resources: &'a [Vec<String>]) -> Common<'a> {
        let of = "Of study digits in /home/anna/my study/study.db";
        Common { label: "digits", of, folder: Path::new("/home/anna/my study"), log, resources }
    }

    #[test]
    fn the_array_is_a_script_that_people_can_read() {
        let resources =
            [vec!["--time=00:30:00".to_owned()], vec!["-p".to_owned(), "long".to_owned()]];
        let script = ArrayScript {
            common: common("digits-%A.log", &resources),
            summary: "40 trials of study digits, one a task.",
            n_tasks: 40,
            n_parallel: 8,
            run: "/opt/trialbox run digits.wasm \\\n    --storage study.db",
        };
        assert_eq!(
            script.text(),
            "\
#!/bin/bash
# Written by trialbox submit, which may write it again.
# To keep your changes, delete the line above: submit then leaves this file alone, and asks for another --script.
# Of study digits in /home/anna/my study/study.db
# 40 trials of study digits, one a task.
#SBATCH --job-name=digits
#SBATCH --array=1-40%8
#SBATCH \"--chdir=/home/anna/my study\"
#SBATCH --output=digits-%A.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --time=00:30:00
#SBATCH -p long

# With exec, the signals of Slurm reach trialbox.
exec /opt/trialbox run digits.wasm \\
    --storage study.db
"
        );
        assert!(is_ours(&script.text()));
    }

    #[test]
    fn the_closing_job_runs_what_is_missing_and_reports_even_after_a_signal() {
        let script = ClosingScript {
            common: common("digits-close-%j.log", &[]),
            program: "/opt/trialbox",
            run: "\"$trialbox\" run digits.wasm --n-trials 40",
            study_flags: "--storage study.db --study-name digits",
            report: "my report.txt",
        };
        assert_eq!(
            script.text(),
            "\
#!/bin/bash
# Written by trialbox submit, which may write it again.
# To keep your changes, delete the line above: submit then leaves this file alone, and asks for another --script.
# Of study digits in /home/anna/my study/study.db
# Once the array of digits has ended, however it did: runs what is missing, and writes the report.
#SBATCH --job-name=digits-close
#SBATCH \"--chdir=/home/anna/my study\"
#SBATCH --output=digits-close-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue

trialbox=/opt/trialbox
study=(--storage study.db --study-name digits)

# Bash passes a signal of Slurm's on only to what it does not wait for in the foreground.
trap 'kill -TERM \"$run\" 2>/dev/null' TERM INT HUP USR1 USR2
\"$trialbox\" run digits.wasm --n-trials 40 &
run=$!
wait \"$run\" || wait \"$run\"
code=$?

{
    echo 'Written by trialbox submit, which may write it again.'
    echo \"Of study digits in /home/anna/my study/study.db\"
    date '+%Y-%m-%d %H:%M:%S %Z'
    \"$trialbox\" study show \"${study[@]}\"
    \"$trialbox\" study best \"${study[@]}\"
    echo 'Failed trials:'
    \"$trialbox\" study trials \"${study[@]}\" --state fail
    echo 'Importance of the parameters, if there are trials enough:'
    \"$trialbox\" study importance \"${study[@]}\"
} > \"my report.txt\" 2>&1
exit \"$code\"
"
        );
        assert!(is_ours(&script.text()));
    }

    #[test]
    fn a_script_and_a_report_say_of_which_study_they_are() {
        let of = of_study("a\nb", Path::new("/x y/s.db"));
        assert_eq!(of, "Of study a b in /x y/s.db");
        assert_eq!(study_of(&format!("#!/bin/bash\n# {MARK}\n# {KEEP}\n# {of}\n")), Some(&*of));
        assert_eq!(study_of(&format!("{MARK}\n{of}\n")), Some(&*of));
        assert_eq!(study_of(MARK), None);
    }

    #[test]
    fn a_file_of_somebody_elses_is_not_ours() {
        assert!(!is_ours("#!/bin/bash\n#SBATCH --array=1-4\nexec trialbox run a.wasm\n"));
        assert!(!is_ours(""));
        assert!(is_ours(
            "Written by trialbox submit, which may write it again.\ndigits: maximize\n"
        ));
    }
}
