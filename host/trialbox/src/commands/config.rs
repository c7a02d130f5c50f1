//! `trialbox config`: the settings that hold, and where they come from.

use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project::config::{LEAVE_OUT, Setting, keys, read, strongest, variable_of};
use crate::view::output::{Output, table};
use crate::view::record::{Record, SettingRecord, View};

const EXAMPLES: &str = "\
Examples:
  trialbox config
  trialbox config --format json

The files are trialbox.toml in the current folder, and ~/.config/trialbox/config.toml. A setting is a flag:
  storage = \"study.db\"
  dir = [\"data::/data\"]
  [submit]
  account = \"def-someone\"";

/// Show the settings that hold, and where they come from.
///
/// A flag of the command line is stronger than a variable of the environment, that is stronger than the project's file,
/// and that than the user's. A table such as `[run]` holds for one command. TRIALBOX_NO_CONFIG=1 leaves the files out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {}

impl ConfigArgs {
    pub(crate) fn run(self, command: &clap::Command, output: &Output) -> CommandResult {
        let settings = read()?;
        let mut found = Vec::new();
        for key in keys() {
            let mut tables: Vec<Option<&str>> = settings
                .iter()
                .filter(|it| it.key == key)
                .map(|it| it.command.as_deref())
                .collect();
            tables.push(None);
            tables.sort_unstable();
            tables.dedup();
            found.extend(
                tables.into_iter().filter_map(|table| held(command, &settings, key, table)),
            );
        }
        output.print(&Settings(found));
        Ok(ExitCode::Done)
    }
}

/// Returns the value of a setting for a command, or for all commands.
fn held(
    flags: &clap::Command,
    settings: &[Setting],
    key: &str,
    command: Option<&str>,
) -> Option<SettingRecord> {
    let record = |value: Vec<String>, from: String| SettingRecord {
        key: key.to_owned(),
        command: command.map(str::to_owned),
        value,
        from,
    };
    if let Some((variable, value)) = in_environment(flags, key) {
        return Some(record(vec![value], format!("the variable {variable}")));
    }
    match strongest(settings, key, command) {
        Some(setting) => Some(record(setting.values.clone(), setting.from.to_string())),
        None if key == "storage" => {
            Some(record(vec!["trialbox.db".to_owned()], "the default".to_owned()))
        }
        None => None,
    }
}

/// Returns the variable that gives a flag of a command, with its value.
fn in_environment(flags: &clap::Command, key: &str) -> Option<(String, String)> {
    fn search(command: &clap::Command, key: &str) -> Option<String> {
        let mut own = command.get_arguments().filter(|arg| arg.get_long() == Some(key));
        let variable = own.find_map(|arg| variable_of(key, arg));
        variable.or_else(|| command.get_subcommands().find_map(|sub| search(sub, key)))
    }
    let variable = search(flags, key)?;
    let value = std::env::var(&variable).ok()?;
    Some((variable, value))
}

/// The settings that hold.
struct Settings(Vec<SettingRecord>);

impl View for Settings {
    fn text(&self) -> String {
        let rows = self.0.iter().map(|setting| {
            let key = match &setting.command {
                Some(command) => format!("{command}.{}", setting.key),
                None => setting.key.clone(),
            };
            let value =
                if setting.value.is_empty() { "on".to_owned() } else { setting.value.join(", ") };
            vec![key, value, setting.from.clone()]
        });
        let table = table(&["setting", "value", "from"], rows);
        let left_out = std::env::var_os(LEAVE_OUT).is_some_and(|value| !value.is_empty());
        if left_out { format!("{table}\n{LEAVE_OUT} leaves the files out") } else { table }
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.0.iter().cloned().map(Record::from))
    }
}
