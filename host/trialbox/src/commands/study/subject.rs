//! The study that a report or a figure is about, read once.

use crate::clock::SystemClock;
use crate::commands::submit::quote::shell_quote;
use crate::error::CommandError;
use crate::study::budget::{MAX_TRIALS, count, show_stopped};
use crate::view::record::stop_of;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use trialbox_core::{Clock as _, History, Storage, StudyRecord, UtcDateTime};
use trialbox_report::{Ordered, Subject};

/// A study with its trials, as they are now.
pub(super) struct Loaded {
    pub(super) study: StudyRecord,
    history: History,
    now: UtcDateTime,
    ordered: Ordered,
}

impl Loaded {
    /// Reads a study.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn read(storage: &mut dyn Storage, name: &str) -> Result<Self, CommandError> {
        let study = storage.open_study(name)?;
        let history = History::new(study.directions.clone(), storage.trials(study.id)?);
        let flags = format!(
            "--storage {} --study-name {}",
            shell_quote(storage.url()),
            shell_quote(&study.name)
        );
        let ordered = Ordered {
            max_trials: study.user_attrs.get(MAX_TRIALS).and_then(count),
            stopped: stop_of(&study)
                .map(|stop| format!("It was stopped: {}.", show_stopped(&stop))),
            show_trial: format!("trialbox trial show {flags}"),
            plot: format!("trialbox study plot {flags}"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(Loaded { study, history, now: SystemClock::new().utc_now(), ordered })
    }

    /// Returns the study for the crate that draws it.
    pub(super) fn subject(&self) -> Subject<'_> {
        let offset = TimeZone::system().to_offset(jiff::Timestamp::now());
        let offset = SignedDuration::from_secs(offset.seconds().into());
        Subject::new(&self.study, &self.history, self.now, offset, self.ordered.clone())
    }
}
