//! The texts of the batch scripts, which users may read and change.

use super::quote::shell_quote;
use super::resources::directive;
use std::path::Path;

/// The line that marks a file which `submit` may overwrite.
pub(super) const MARK: &str = "Written by trialbox submit, which may overwrite it.";

/// The start of [`MARK`] in all versions.
const MARK_START: &str = "Written by trialbox submit, which may ";

/// The line after the mark, for users who change a script.
const KEEP: &str = "To keep your changes, delete the line above. submit then asks for another --script \
                    instead of overwriting this file.";

/// The parts that both scripts share.
#[derive(Debug)]
pub(super) struct Common<'a> {
    /// The study's name for jobs and files.
    pub(super) label: &'a str,
    /// The line of [`of_study`].
    pub(super) of: &'a str,
    /// The current folder, to which paths on the command line are relative.
    pub(super) folder: &'a Path,
    /// The name of the log, as a pattern of sbatch.
    pub(super) log: &'a str,
    /// The resources as flags of sbatch.
    pub(super) resources: &'a [Vec<String>],
}

/// The script of the array.
#[derive(Debug)]
pub(super) struct ArrayScript<'a> {
    pub(super) common: Common<'a>,
    /// The size of the array, for the script's reader.
    pub(super) summary: &'a str,
    pub(super) n_tasks: u64,
    pub(super) n_parallel: u64,
    /// The command of a task, `trialbox run …`.
    pub(super) run: &'a str,
}

/// The script of the closing job, which runs after the array.
#[derive(Debug)]
pub(super) struct ClosingScript<'a> {
    pub(super) common: Common<'a>,
    /// The path of `trialbox`, quoted for the shell.
    pub(super) program: &'a str,
    /// The command `"$trialbox" run …`.
    pub(super) run: &'a str,
    /// The flags that select the study.
    pub(super) study_flags: &'a str,
    /// The path of the report.
    pub(super) report: &'a str,
}

impl ArrayScript<'_> {
    /// Returns the flags for sbatch. Given on its command line too, they override variables of the user.
    pub(super) fn flags(&self) -> Vec<Vec<String>> {
        let array = format!("--array=1-{}%{}", self.n_tasks, self.n_parallel);
        self.common.flags(self.common.label, Some(array))
    }

    pub(super) fn text(&self) -> String {
        let head = self.common.head(self.summary, &self.flags());
        let run = self.run;
        format!("{head}\n# With exec, signals of Slurm reach trialbox.\nexec {run}\n")
    }
}

impl ClosingScript<'_> {
    /// Returns the flags for sbatch, without the dependency on the array.
    pub(super) fn flags(&self) -> Vec<Vec<String>> {
        self.common.flags(&format!("{}-close", self.common.label), None)
    }

    pub(super) fn text(&self) -> String {
        let label = self.common.label;
        let summary = format!(
            "Runs the trials of {label} that are missing after its array, and writes the report."
        );
        let head = self.common.head(&summary, &self.flags());
        let (program, run, study) = (self.program, self.run, self.study_flags);
        let (report, of) = (shell_quote(self.report), shell_quote(self.common.of));
        format!(
            "{head}\n\
             trialbox={program}\n\
             study=({study})\n\
             \n\
             # Bash can pass signals of Slurm on only while the command runs in the background.\n\
             trap 'kill -TERM \"$run\" 2>/dev/null' TERM INT HUP USR1 USR2\n\
             {run} &\n\
             run=$!\n\
             wait \"$run\" || wait \"$run\"\n\
             code=$?\n\
             \n\
             # Written aside, because another user of the folder may have left a link under the report's name.\n\
             report={report}\n\
             aside=$(mktemp -- \"$report.XXXXXXXX\") || exit\n\
             {{\n    \
                 echo '{MARK}'\n    \
                 echo {of}\n    \
                 date '+%Y-%m-%d %H:%M:%S %Z'\n    \
                 \"$trialbox\" study show \"${{study[@]}}\"\n    \
                 \"$trialbox\" study best \"${{study[@]}}\"\n    \
                 echo 'Failed trials:'\n    \
                 \"$trialbox\" study trials \"${{study[@]}}\" --state fail\n    \
                 echo 'Importance of the parameters (needs several COMPLETE trials):'\n    \
                 \"$trialbox\" study importance \"${{study[@]}}\"\n    \
                 echo 'A page with figures:'\n    \
                 \"$trialbox\" study report \"${{study[@]}}\" --output \"${{report%.txt}}.html\"\n\
             }} > \"$aside\" 2>&1\n\
             chmod '=rw' -- \"$aside\" && mv -fT -- \"$aside\" \"$report\"\n\
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

/// Returns whether `submit` wrote a script or a report.
pub(super) fn is_ours(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains(MARK_START))
}

/// Returns the line that names the study of a script or a report. Studies of one name in different databases would
/// write the same files.
pub(super) fn of_study(study: &str, database: &Path) -> String {
    let text = format!("{OF}{study} in {}", database.display());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Finds the line of [`of_study`] in a file that `submit` wrote.
pub(super) fn study_of(text: &str) -> Option<&str> {
    text.lines().take(5).find_map(|line| {
        let line = line.strip_prefix("# ").unwrap_or(line);
        line.starts_with(OF).then_some(line)
    })
}

/// The start of the line of [`of_study`].
const OF: &str = "For study ";

#[cfg(test)]
mod tests {
    use super::*;

    fn common<'a>(log: &'a str, resources: &'a [Vec<String>]) -> Common<'a> {
        let of = "For study digits in /home/anna/my study/study.db";
        Common { label: "digits", of, folder: Path::new("/home/anna/my study"), log, resources }
    }

    #[test]
    fn the_script_of_the_array_is_readable() {
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
# Written by trialbox submit, which may overwrite it.
# To keep your changes, delete the line above. submit then asks for another --script instead of overwriting this file.
# For study digits in /home/anna/my study/study.db
# 40 trials of study digits, one a task.
#SBATCH --job-name=digits
#SBATCH --array=1-40%8
#SBATCH \"--chdir=/home/anna/my study\"
#SBATCH --output=digits-%A.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --time=00:30:00
#SBATCH -p long

# With exec, signals of Slurm reach trialbox.
exec /opt/trialbox run digits.wasm \\
    --storage study.db
"
        );
        assert!(is_ours(&script.text()));
    }

    #[test]
    fn the_closing_job_runs_missing_trials_and_reports_even_after_a_signal() {
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
# Written by trialbox submit, which may overwrite it.
# To keep your changes, delete the line above. submit then asks for another --script instead of overwriting this file.
# For study digits in /home/anna/my study/study.db
# Runs the trials of digits that are missing after its array, and writes the report.
#SBATCH --job-name=digits-close
#SBATCH \"--chdir=/home/anna/my study\"
#SBATCH --output=digits-close-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue

trialbox=/opt/trialbox
study=(--storage study.db --study-name digits)

# Bash can pass signals of Slurm on only while the command runs in the background.
trap 'kill -TERM \"$run\" 2>/dev/null' TERM INT HUP USR1 USR2
\"$trialbox\" run digits.wasm --n-trials 40 &
run=$!
wait \"$run\" || wait \"$run\"
code=$?

# Written aside, because another user of the folder may have left a link under the report's name.
report=\"my report.txt\"
aside=$(mktemp -- \"$report.XXXXXXXX\") || exit
{
    echo 'Written by trialbox submit, which may overwrite it.'
    echo \"For study digits in /home/anna/my study/study.db\"
    date '+%Y-%m-%d %H:%M:%S %Z'
    \"$trialbox\" study show \"${study[@]}\"
    \"$trialbox\" study best \"${study[@]}\"
    echo 'Failed trials:'
    \"$trialbox\" study trials \"${study[@]}\" --state fail
    echo 'Importance of the parameters (needs several COMPLETE trials):'
    \"$trialbox\" study importance \"${study[@]}\"
    echo 'A page with figures:'
    \"$trialbox\" study report \"${study[@]}\" --output \"${report%.txt}.html\"
} > \"$aside\" 2>&1
chmod '=rw' -- \"$aside\" && mv -fT -- \"$aside\" \"$report\"
exit \"$code\"
"
        );
        assert!(is_ours(&script.text()));
    }

    #[test]
    fn a_script_and_a_report_name_their_study() {
        let of = of_study("a\nb", Path::new("/x y/s.db"));
        assert_eq!(of, "For study a b in /x y/s.db");
        assert_eq!(study_of(&format!("#!/bin/bash\n# {MARK}\n# {KEEP}\n# {of}\n")), Some(&*of));
        assert_eq!(study_of(&format!("{MARK}\n{of}\n")), Some(&*of));
        assert_eq!(study_of(MARK), None);
    }

    #[test]
    fn a_file_of_the_user_is_not_ours() {
        assert!(!is_ours("#!/bin/bash\n#SBATCH --array=1-4\nexec trialbox run a.wasm\n"));
        assert!(!is_ours(""));
        assert!(is_ours(
            "Written by trialbox submit, which may write it again.\ndigits: maximize\n"
        ));
    }
}
