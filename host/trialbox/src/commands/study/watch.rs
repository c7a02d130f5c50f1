//! `trialbox study watch`: shows a study on the terminal, again and again.

use super::read::show;
use super::subject::Loaded;
use crate::args::quantity::parse_duration;
use crate::args::storage::NamedStudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::{Output, terminal_size};
use crate::view::record::{Rendered, StudyOverview};
use crate::view::screen::{Key, Screen};
use std::time::{Duration, Instant};
use trialbox_core::{Storage, StorageError, TrialState};
use trialbox_report::{Line, Looked, n_listed, screen};

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// Time between two looks at the database
    ///
    /// [default: 5s]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        hide_default_value = true,
        value_parser = parse_duration
    )]
    interval: Duration,
}

/// The size of a screen that is printed.
const PRINTED: (usize, usize) = (80, 24);

/// The time after which clocks and sizes are looked at again.
const TICK: Duration = Duration::from_secs(1);

impl WatchArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        if output.is_json() {
            return show(&self.study, output);
        }
        let (mut storage, name) = self.study.open()?;
        let mut loaded = Loaded::read(storage.as_mut(), &name)?;
        let Some(terminal) = Screen::open(output).map_err(explain)? else {
            return print(storage.as_mut(), &loaded, output);
        };
        let mut looked = Looked::default();
        let mut read_at = Instant::now();
        loop {
            if read_at.elapsed() >= self.interval {
                loaded = Loaded::read(storage.as_mut(), &name)?;
                read_at = Instant::now();
            }
            let subject = loaded.subject();
            let (width, height) = terminal.size();
            terminal.draw(&screen(&subject, &looked, width, height));
            if output.delivered().is_err() {
                return Ok(ExitCode::Done);
            }
            for key in terminal.keys(TICK.min(self.interval)).map_err(explain)? {
                match key {
                    Key::End | Key::Char('q') => return Ok(ExitCode::Done),
                    key => {
                        let n_listed = n_listed(&subject, &looked);
                        press(&mut looked, key, n_listed);
                    }
                }
            }
        }
    }
}

/// Changes what the user looks at.
fn press(looked: &mut Looked, key: Key, n_listed: usize) {
    let last = n_listed.saturating_sub(1);
    match key {
        Key::Up | Key::Char('k') => looked.chosen = looked.chosen.min(last).saturating_sub(1),
        Key::Down | Key::Char('j') => looked.chosen = (looked.chosen + 1).min(last),
        Key::Enter => looked.is_open = n_listed > 0,
        Key::Escape => looked.is_open = false,
        Key::Char('s') => (looked.order, looked.chosen) = (looked.order.next(), 0),
        Key::Char('f') => (looked.state, looked.chosen) = (next_state(looked.state), 0),
        _ => {}
    }
}

/// Returns the next state in the circle of the filter, which starts with all.
fn next_state(state: Option<TrialState>) -> Option<TrialState> {
    let Some(state) = state else { return TrialState::ALL.first().copied() };
    TrialState::ALL.into_iter().skip_while(|found| *found != state).nth(1)
}

/// Prints one screen, where there is no terminal to draw on.
fn print(storage: &mut dyn Storage, loaded: &Loaded, output: &Output) -> CommandResult {
    let (_, height) = PRINTED;
    let width = terminal_size().map_or(PRINTED.0, |(columns, _)| columns);
    let mut lines: Vec<Line> = screen(&loaded.subject(), &Looked::default(), width, height);
    // The last line is about keys.
    lines.pop();
    let text = lines.iter().map(|line| line.text.trim_end()).collect::<Vec<_>>().join("\n");
    let summaries = storage.list_studies()?;
    let name = &loaded.study.name;
    let Some(summary) = summaries.iter().find(|summary| summary.study.name == *name) else {
        return Err(StorageError::NoSuchStudy { name: name.clone(), known: vec![] }.into());
    };
    output.print(&Rendered::new(text, StudyOverview::of(summary)));
    Ok(ExitCode::Done)
}

fn explain(error: std::io::Error) -> CommandError {
    CommandError::usage(
        format!("cannot use the terminal: {error}"),
        "`trialbox study show` prints the same",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose_open_and_filter() {
        let mut looked = Looked::default();
        press(&mut looked, Key::Up, 0);
        press(&mut looked, Key::Enter, 0);
        assert_eq!(looked, Looked::default(), "an empty list");
        for _ in 0..5 {
            press(&mut looked, Key::Down, 3);
        }
        press(&mut looked, Key::Enter, 3);
        assert!(looked.chosen == 2 && looked.is_open);
        press(&mut looked, Key::Escape, 3);
        let mut seen = vec![];
        for _ in 0..=TrialState::ALL.len() {
            press(&mut looked, Key::Char('f'), 3);
            seen.push(looked.state);
        }
        let want = TrialState::ALL.map(Some).into_iter().chain([None]);
        assert_eq!(seen, want.collect::<Vec<_>>());
        assert!(looked.chosen == 0 && !looked.is_open);
    }
}
