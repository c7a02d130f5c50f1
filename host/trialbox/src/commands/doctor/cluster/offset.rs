//! Bounds the offset of two clocks from messages in both directions, as NTP does (RFC 5905, section 8): a message
//! cannot arrive before it was sent.

use crate::probe::Message;

/// The bounds of the second clock minus the first, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offset {
    low: f64,
    high: f64,
}

impl Offset {
    /// Bounds the offset, or returns `None` without a message in one of the directions.
    ///
    /// `by_first` are the messages that the first side received. A message to the second side took
    /// `seen - sent - offset`, one to the first side `seen - sent + offset`. Neither is negative.
    pub(super) fn between(by_first: &[Message], by_second: &[Message]) -> Option<Self> {
        let delays =
            |messages: &[Message]| messages.iter().map(|m| m.seen - m.sent).reduce(f64::min);
        let (low, high) = (-delays(by_first)?, delays(by_second)?);
        // After a clock was set in between, no offset agrees with all messages.
        Some(Offset { low: low.min(high), high: high.max(low) })
    }

    /// Returns the upper bound of the clocks' distance.
    pub(super) fn most(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// Returns the lower bound of the clocks' distance.
    pub(super) fn least(self) -> f64 {
        self.low.max(-self.high).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(by_first: &[(f64, f64)], by_second: &[(f64, f64)], want: Option<(f64, f64)>) {
        let messages = |pairs: &[(f64, f64)]| -> Vec<Message> {
            pairs.iter().map(|&(sent, seen)| Message { sent, seen }).collect()
        };
        let offset = Offset::between(&messages(by_first), &messages(by_second));
        assert_eq!(offset.map(|offset| (offset.low, offset.high)), want);
    }

    #[test]
    fn an_offset_lies_between_the_delays_in_both_directions() {
        // The second clock is 10 ahead; messages take 1 there and 2 back.
        check(&[(111.0, 103.0)], &[(100.0, 111.0)], Some((8.0, 11.0)));
        // It is 10 behind.
        check(&[(91.0, 103.0)], &[(100.0, 91.0)], Some((-12.0, -9.0)));
        // Of several messages the fastest count.
        check(
            &[(111.0, 103.0), (215.0, 205.5)],
            &[(100.0, 111.0), (200.0, 210.5)],
            Some((9.5, 10.5)),
        );
        check(&[], &[(100.0, 111.0)], None);
        check(&[(111.0, 103.0)], &[], None);
    }

    #[test]
    fn a_clock_that_was_set_in_between_widens_the_bounds() {
        check(&[(111.0, 103.0)], &[(100.0, 101.0)], Some((1.0, 8.0)));
    }

    #[test]
    fn the_bounds_hold_the_offset_whatever_the_delays() {
        for offset in [-50.0, -0.25, 0.0, 0.25, 50.0] {
            for (there, back) in [(0.0, 0.0), (0.5, 8.0), (8.0, 0.5)] {
                let by_second = [Message { sent: 100.0, seen: 100.0 + there + offset }];
                let by_first = [Message { sent: 200.0 + offset, seen: 200.0 + back }];
                let found = Offset::between(&by_first, &by_second).expect("both directions");
                assert!(found.low <= offset && offset <= found.high, "{offset}: {found:?}");
                assert!(found.least() <= f64::abs(offset) && f64::abs(offset) <= found.most());
            }
        }
    }
}
