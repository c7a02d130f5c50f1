//! The buffer between a chatty objective and the database.

use crate::study::batch::TrialBatch;
use crate::value::json::Json;
use std::time::Duration;

/// The time that a change may wait before it is written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// The time to leave a storage alone after a failed write: each try holds the objective up.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The time that a change which other trials need to know may wait: long enough that a trial of milliseconds finishes
/// first and costs no extra write, short enough that trials that start together see each other.
const SHARE_INTERVAL: Duration = Duration::from_millis(20);

/// The time between two heartbeats of a silent trial. Optuna's reapers allow twice their own interval, which users set
/// to a minute or more.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// The changes to a running trial that are not written yet, and the time at which they should be.
///
/// Times are those of the session's clock and come as arguments; the buffer knows no clock and no storage.
#[derive(Debug)]
pub(super) struct WriteBehind {
    /// The changes.
    pub(super) batch: TrialBatch,
    last_write: Duration,
    is_failing: bool,
    /// The time of the oldest change that other trials wait for.
    shared_at: Option<Duration>,
}

impl WriteBehind {
    pub(super) fn new(batch: TrialBatch, now: Duration) -> Self {
        WriteBehind { batch, last_write: now, is_failing: false, shared_at: None }
    }

    /// Sets a user attribute, in place of an earlier value that is not written yet.
    pub(super) fn set_user_attr(&mut self, key: &str, value: Json) {
        put(&mut self.batch.user_attrs, key, value);
    }

    /// Sets a system attribute, in place of an earlier value that is not written yet.
    pub(super) fn set_system_attr(&mut self, key: &str, value: Json) {
        put(&mut self.batch.system_attrs, key, value);
    }

    /// Adds system attributes that simultaneous trials should see soon.
    pub(super) fn share(&mut self, attrs: Vec<(String, Json)>, now: Duration) {
        if attrs.is_empty() {
            return;
        }
        self.batch.system_attrs.extend(attrs);
        self.shared_at.get_or_insert(now);
    }

    /// Returns the time until the next write, which is also the next heartbeat.
    pub(super) fn until_due(&self, now: Duration) -> Duration {
        let interval = if self.is_failing {
            RETRY_INTERVAL
        } else if self.batch.is_empty() {
            HEARTBEAT_INTERVAL
        } else {
            FLUSH_INTERVAL
        };
        let mut due = self.last_write + interval;
        if let Some(shared_at) = self.shared_at {
            due = due.min(shared_at + SHARE_INTERVAL);
        }
        due.saturating_sub(now)
    }

    /// Empties the buffer after its changes were written.
    pub(super) fn written(&mut self, now: Duration) {
        // A success also ends the longer interval that follows a failure.
        *self = WriteBehind::new(TrialBatch::default(), now);
    }

    /// Keeps the changes after a write that failed. Returns whether it is the first failure since the last success.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        self.last_write = now;
        // Otherwise the shared change would be due again after 20 ms, against a storage that fails.
        self.shared_at = None;
        !std::mem::replace(&mut self.is_failing, true)
    }
}

fn put(attrs: &mut Vec<(String, Json)>, key: &str, value: Json) {
    match attrs.iter_mut().find(|(found, _)| found == key) {
        Some((_, found)) => *found = value,
        None => attrs.push((key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A buffer that was last written at 100 s.
    fn empty() -> WriteBehind {
        WriteBehind::new(TrialBatch::default(), secs(100))
    }

    fn attr(key: &str) -> Vec<(String, Json)> {
        vec![(key.to_owned(), Json::from(1i64))]
    }

    #[test]
    fn an_empty_buffer_is_due_for_a_heartbeat_after_half_a_minute() {
        assert_eq!(empty().until_due(secs(100)), secs(30));
        assert_eq!(empty().until_due(secs(129)), secs(1));
        assert_eq!(empty().until_due(secs(130)), Duration::ZERO);
        assert_eq!(empty().until_due(secs(200)), Duration::ZERO);
    }

    #[test]
    fn a_change_is_due_a_second_after_the_last_write_however_young_it_is() {
        let mut writes = empty();
        writes.batch.intermediate_values.push((1, 0.5));
        assert_eq!(writes.until_due(secs(100)), secs(1));
        assert_eq!(writes.until_due(millis(100_999)), millis(1));
        assert_eq!(writes.until_due(secs(115)), Duration::ZERO);
    }

    #[test]
    fn a_change_that_others_wait_for_is_due_after_20_ms_counted_from_the_first() {
        let mut writes = empty();
        writes.share(attr("a"), millis(100_100));
        assert_eq!(writes.until_due(millis(100_100)), millis(20));
        writes.share(attr("b"), millis(100_115));
        assert_eq!(writes.until_due(millis(100_115)), millis(5));
        assert_eq!(writes.batch.system_attrs.len(), 2);
    }

    #[test]
    fn sharing_never_puts_a_write_off() {
        let mut writes = empty();
        writes.share(attr("a"), millis(100_990));
        assert_eq!(writes.until_due(millis(100_990)), millis(10));
    }

    #[test]
    fn sharing_nothing_changes_nothing() {
        let mut writes = empty();
        writes.share(vec![], secs(101));
        assert_eq!(writes.until_due(secs(101)), secs(29));
        assert!(writes.batch.is_empty());
    }

    #[test]
    fn after_a_failed_write_the_changes_stay_and_are_due_in_ten_seconds() {
        let mut writes = empty();
        writes.share(attr("a"), secs(101));
        assert!(writes.failed(secs(102)), "the first failure");
        assert_eq!(writes.until_due(secs(102)), secs(10));
        assert_eq!(writes.batch.system_attrs, attr("a"));
        assert!(!writes.failed(secs(112)), "a second one in a row");
        assert_eq!(writes.until_due(secs(112)), secs(10));
    }

    #[test]
    fn a_shared_change_is_tried_early_even_while_writes_fail() {
        let mut writes = empty();
        writes.failed(secs(102));
        writes.share(attr("a"), secs(103));
        assert_eq!(writes.until_due(secs(103)), millis(20));
    }

    #[test]
    fn a_successful_write_empties_the_buffer_and_ends_a_row_of_failures() {
        let mut writes = empty();
        writes.share(attr("a"), secs(101));
        writes.failed(secs(102));
        writes.written(secs(112));
        assert!(writes.batch.is_empty());
        assert_eq!(writes.until_due(secs(112)), secs(30));
        assert!(writes.failed(secs(142)), "the first of a new row");
    }

    #[test]
    fn a_key_is_written_once_with_its_last_value() {
        let mut writes = empty();
        for value in [1i64, 2] {
            writes.set_user_attr("u", value.into());
            writes.set_system_attr("s", value.into());
        }
        assert_eq!(writes.batch.user_attrs, [("u".to_owned(), Json::from(2i64))]);
        assert_eq!(writes.batch.system_attrs, [("s".to_owned(), Json::from(2i64))]);
    }
}
