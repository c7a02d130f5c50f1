//! The other trials of the study, as the sampler and the pruner see them.

use crate::study::history::History;
use crate::study::record::StudyDirection;
use crate::study::trial::{FrozenTrial, TrialNumber};
use std::rc::Rc;
use std::time::Duration;

/// The age at which the pruner's view of the other trials is read again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The factor by which the next reading is put off where reading takes long: at most a twentieth of a trial's time is
/// spent on it.
const REFRESH_SHARE: u32 = 20;

/// The trials of a study as a worker last saw them. They spare its next trial the reading of what has not changed.
#[derive(Debug, Default)]
pub struct KnownTrials(Option<History>);

/// The other trials of the study, read once for the sampler and again and again for the pruner.
///
/// The sampler keeps the view that it had first, so that a trial's parameters follow from one moment of the study. Only
/// a sampler that excludes the points of others gets a new one, when another trial took a point meanwhile.
/// Times come as arguments; the view knows no clock and no storage.
#[derive(Debug)]
pub(super) struct PeerView {
    own: TrialNumber,
    /// The trials as the trial before this one knew them; `None` once the study was read.
    before: Option<History>,
    /// The session's own trial as it was read, which the next trial must read again.
    own_trial: Option<FrozenTrial>,
    at_first: Rc<History>,
    latest: Rc<History>,
    /// The time before which the study is not read again; `None` until it was read.
    refresh_at: Option<Duration>,
    has_failed: bool,
}

impl PeerView {
    /// Creates an empty view for a trial of the study with these directions.
    pub(super) fn new(directions: &[StudyDirection], own: TrialNumber) -> Self {
        let empty = Rc::new(History::new(directions.to_vec(), Vec::new()));
        PeerView {
            own,
            before: None,
            own_trial: None,
            at_first: Rc::clone(&empty),
            latest: empty,
            refresh_at: None,
            has_failed: false,
        }
    }

    /// Begins with what the worker's last trial knew.
    pub(super) fn know(&mut self, known: KnownTrials) {
        self.before = known.0;
    }

    /// Returns all that is known of the study's trials, and empties the view.
    pub(super) fn take_known(&mut self) -> Option<History> {
        if !self.is_loaded() {
            return self.before.take();
        }
        let empty = Rc::new(History::new(self.latest.directions().to_vec(), Vec::new()));
        self.at_first = Rc::clone(&empty);
        let latest = std::mem::replace(&mut self.latest, empty);
        let mut known = Rc::unwrap_or_clone(latest);
        known.update(self.own_trial.take().into_iter().collect());
        Some(known)
    }

    /// Returns what the worker's next trial may begin with.
    pub(super) fn into_known(mut self) -> KnownTrials {
        KnownTrials(self.take_known())
    }

    /// Returns whether the study was read.
    pub(super) fn is_loaded(&self) -> bool {
        self.refresh_at.is_some()
    }

    /// Returns the view of the sampler; empty until the study was read.
    pub(super) fn for_sampler(&self) -> &History {
        &self.at_first
    }

    /// Returns the view of the pruner; empty until the study was read.
    pub(super) fn for_pruner(&self) -> &History {
        &self.latest
    }

    /// Takes all trials of the study. Returns the session's own.
    pub(super) fn load(&mut self, mut history: History) -> Option<&FrozenTrial> {
        self.own_trial = history.take(self.own);
        self.at_first = Rc::new(history);
        self.latest = Rc::clone(&self.at_first);
        self.own_trial.as_ref()
    }

    /// Takes the trials that have changed since the last reading.
    pub(super) fn update(&mut self, mut changed: Vec<FrozenTrial>) {
        changed.retain(|trial| trial.number != self.own);
        if !changed.is_empty() {
            // Copies the trials once, while the sampler still has the same view; later updates are in place.
            Rc::make_mut(&mut self.latest).update(changed);
        }
    }

    /// Keeps the view after a reading that failed. Returns whether it is the first failure.
    pub(super) fn failed(&mut self) -> bool {
        !std::mem::replace(&mut self.has_failed, true)
    }

    /// Notes a reading, successful or not, which puts the next one off.
    pub(super) fn was_read(&mut self, started: Duration, finished: Duration) {
        let took = finished.saturating_sub(started);
        self.refresh_at = Some(finished + REFRESH_INTERVAL.max(took * REFRESH_SHARE));
    }

    /// Returns whether the pruner's view is old enough to be read again.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        match self.refresh_at {
            Some(refresh_at) => now >= refresh_at,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::trial::{TrialId, TrialState};
    use std::collections::BTreeMap;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn trial(number: u32, state: TrialState, value: f64) -> FrozenTrial {
        FrozenTrial {
            id: TrialId(number.into()),
            number: TrialNumber(number),
            state,
            values: vec![value],
            datetime_start: None,
            datetime_complete: None,
            params: vec![],
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        }
    }

    fn numbers(history: &History) -> Vec<u32> {
        history.trials().iter().map(|trial| trial.number.0).collect()
    }

    /// Trial 2's view of a study of three trials, whose reading took from 10 s to 10.02 s.
    fn loaded() -> PeerView {
        let mut view = PeerView::new(&[StudyDirection::Minimize], TrialNumber(2));
        let trials = vec![
            trial(0, TrialState::Complete, 1.0),
            trial(1, TrialState::Running, 2.0),
            trial(2, TrialState::Running, 3.0),
        ];
        let own = view.load(History::new(vec![StudyDirection::Minimize], trials));
        assert_eq!(own.map(|trial| trial.number), Some(TrialNumber(2)));
        view.was_read(secs(10), Duration::from_millis(10_020));
        view
    }

    #[test]
    fn a_view_is_empty_and_never_due_until_it_is_loaded() {
        let view = PeerView::new(&[StudyDirection::Minimize], TrialNumber(0));
        assert!(!view.is_loaded());
        assert!(!view.is_due(secs(1_000_000)));
        assert_eq!(numbers(view.for_sampler()), [0u32; 0]);
        assert_eq!(numbers(view.for_pruner()), [0u32; 0]);
    }

    #[test]
    fn the_next_trial_knows_all_trials_as_they_were_seen_last() {
        let mut view = loaded();
        view.update(vec![trial(1, TrialState::Complete, 4.0), trial(3, TrialState::Running, 5.0)]);
        let KnownTrials(Some(known)) = view.into_known() else { panic!("it was read") };
        assert_eq!(numbers(&known), [0, 1, 2, 3]);
        assert_eq!(known.trials()[1].values, [4.0]);
        // The own trial was running when it was read, so it is read again.
        assert_eq!(known.trials()[2].state, TrialState::Running);
        // A trial that reads nothing hands on what it was given.
        let mut next = PeerView::new(&[StudyDirection::Minimize], TrialNumber(4));
        next.know(KnownTrials(Some(known)));
        assert_eq!(numbers(next.for_sampler()), [0u32; 0]);
        assert!(!next.is_loaded());
        let KnownTrials(Some(known)) = next.into_known() else { panic!("it was given") };
        assert_eq!(numbers(&known), [0, 1, 2, 3]);
    }

    #[test]
    fn the_own_trial_is_not_among_the_others() {
        let view = loaded();
        assert!(view.is_loaded());
        assert_eq!(numbers(view.for_sampler()), [0, 1]);
        assert_eq!(numbers(view.for_pruner()), [0, 1]);
    }

    #[test]
    fn a_view_is_due_a_second_after_a_quick_reading() {
        let view = loaded();
        assert!(!view.is_due(Duration::from_millis(11_019)));
        assert!(view.is_due(Duration::from_millis(11_020)));
    }

    #[test]
    fn after_a_slow_reading_the_next_waits_twenty_times_as_long() {
        let mut view = loaded();
        view.was_read(secs(20), secs(22));
        assert!(!view.is_due(Duration::from_millis(61_999)));
        assert!(view.is_due(secs(62)));
    }

    #[test]
    fn a_failed_reading_is_told_once_and_keeps_the_view() {
        let mut view = loaded();
        assert!(view.failed());
        view.was_read(secs(20), secs(20));
        assert!(!view.is_due(Duration::from_millis(20_999)));
        assert!(view.is_due(secs(21)));
        assert!(!view.failed());
        assert_eq!(numbers(view.for_pruner()), [0, 1]);
    }

    #[test]
    fn the_pruner_sees_changes_and_the_sampler_keeps_its_view() {
        let mut view = loaded();
        let changed = vec![
            trial(1, TrialState::Complete, 0.5),
            trial(2, TrialState::Running, 9.0),
            trial(3, TrialState::Running, 4.0),
        ];
        view.update(changed);
        assert_eq!(numbers(view.for_pruner()), [0, 1, 3]);
        assert_eq!(view.for_pruner().trials()[1].values, [0.5]);
        assert_eq!(numbers(view.for_sampler()), [0, 1]);
        assert_eq!(view.for_sampler().trials()[1].values, [2.0]);
    }
}
