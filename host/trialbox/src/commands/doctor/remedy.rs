//! The command that follows the advice of a finding.

use crate::commands::submit::shell_quote;
use std::path::Path;
use trialbox_storage::doctor::{Finding, Remedy};

/// Returns the advice, and after a colon the command or flag that carries it out.
pub(super) fn advice(finding: &Finding, database: &Path) -> String {
    let advice = finding.kind.advice;
    match finding.kind.remedy {
        Some(remedy) => {
            let study = finding.place.study.as_deref();
            format!("{advice}: {}", command(remedy, database, study))
        }
        None => advice.to_owned(),
    }
}

/// Returns a command that can be pasted. Words in capitals stand for what only the user knows.
fn command(remedy: Remedy, database: &Path, study: Option<&str>) -> String {
    let name = database.display().to_string();
    let file = shell_quote(&name);
    let study = shell_quote(study.unwrap_or("STUDY"));
    match remedy {
        Remedy::ChooseDatabase => "--storage OTHER.db".to_owned(),
        Remedy::CopyStudy => {
            format!("trialbox study copy --storage {file} {study} --to-study-name COPY")
        }
        Remedy::CreateGuard => {
            format!("trialbox doctor --storage {file} --repair, or --no-guard")
        }
        Remedy::CreateStudy => {
            format!("trialbox study create --storage {file} --study-name STUDY")
        }
        Remedy::Examine => format!("trialbox doctor --storage {file}"),
        Remedy::LeaveWal => format!("sqlite3 {file} 'PRAGMA journal_mode=DELETE'"),
        Remedy::LockFile => "--lock file".to_owned(),
        Remedy::Reap => format!("trialbox reap --storage {file} --study-name {study}"),
        Remedy::RecoverRows => "sqlite3 COPY .recover".to_owned(),
        Remedy::RetireLock => {
            format!("trialbox doctor --storage {file} --lock sqlite --repair")
        }
        Remedy::RollBack => format!("trialbox study list --storage {file}"),
        Remedy::Snapshot => format!("trialbox study snapshot --storage {file} COPY.db"),
        Remedy::Sync => format!("trialbox study sync --storage {file}"),
        Remedy::Upgrade => {
            let url = shell_quote(&format!("sqlite:///{name}"));
            format!("optuna storage upgrade --storage {url}")
        }
        Remedy::WaitLonger => {
            format!("trialbox doctor --storage {file} --storage-timeout 30m")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;
    use std::collections::BTreeSet;
    use trialbox_storage::doctor::kinds;

    #[test]
    fn every_command_of_trialbox_parses() {
        let remedies: BTreeSet<String> = kinds()
            .iter()
            .filter_map(|kind| kind.remedy)
            .map(|remedy| command(remedy, Path::new("study.db"), Some("s")))
            .collect();
        let commands = remedies.iter().filter(|command| command.starts_with("trialbox "));
        let mut n_commands = 0;
        for command in commands {
            let words = command.split(',').next().unwrap_or_default().split(' ');
            let parsed = Cli::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{command}: {parsed:?}");
            n_commands += 1;
        }
        assert!(n_commands >= 8, "{remedies:?}");
    }

    #[test]
    fn a_command_names_the_database_and_the_study_for_the_shell() {
        let database = Path::new("my studies/a.db");
        let reap = command(Remedy::Reap, database, Some("big $"));
        assert_eq!(reap, "trialbox reap --storage \"my studies/a.db\" --study-name \"big \\$\"");
        let upgrade = command(Remedy::Upgrade, database, None);
        assert_eq!(upgrade, "optuna storage upgrade --storage \"sqlite:///my studies/a.db\"");
        let copy = command(Remedy::CopyStudy, Path::new("/a.db"), None);
        assert_eq!(copy, "trialbox study copy --storage /a.db STUDY --to-study-name COPY");
    }
}
