//! `--until`: a point in time.

use crate::args::quantity::parse_duration;
use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use trialbox_core::UtcDateTime;

/// Reads a point in time: RFC 3339; the same without an offset or a time alone, which are the
/// local time and the local day; `+2h`, from now on.
pub(crate) fn parse_until(text: &str) -> Result<UtcDateTime, String> {
    read_until(text, Timestamp::now(), &TimeZone::system()).ok_or_else(|| {
        format!(
            "expected a point in time such as 2026-11-25T18:00, 2026-11-25T18:00+01:00, 18:00 or +2h, found `{text}`"
        )
    })
}

fn read_until(text: &str, now: Timestamp, zone: &TimeZone) -> Option<UtcDateTime> {
    let at = if let Some(duration) = text.strip_prefix('+') {
        let duration = SignedDuration::try_from(parse_duration(duration).ok()?).ok()?;
        now.checked_add(duration).ok()?
    } else if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else {
        // A date alone could be its beginning or its end.
        let (_, after_hour) = text.split_once(':')?;
        // What the parsers read and leave out: an offset or a zone after a time.
        if after_hour.chars().any(|c| !c.is_ascii_digit() && !":.".contains(c)) {
            return None;
        }
        let time = || Some(zone.to_datetime(now).date().to_datetime(text.parse::<Time>().ok()?));
        let local = text.parse::<DateTime>().ok().or_else(time)?;
        zone.to_timestamp(local).ok()?
    };
    Some(Offset::UTC.to_datetime(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    /// Just before midnight, two hours east of Greenwich.
    fn read(text: &str) -> Option<UtcDateTime> {
        let now = "2026-11-25T23:30+02:00".parse().expect("a time");
        read_until(text, now, &TimeZone::fixed(Offset::constant(2)))
    }

    #[test]
    fn points_in_time_are_read_as_people_write_them() {
        for (text, utc) in [
            ("2026-11-25T18:00Z", "2026-11-25T18:00:00"),
            ("2026-11-25T18:00:30-01:00", "2026-11-25T19:00:30"),
            ("2026-11-25 18:00+01:00", "2026-11-25T17:00:00"),
            ("2026-11-25T18:00", "2026-11-25T16:00:00"),
            ("2026-11-26 01:00:00", "2026-11-25T23:00:00"),
            ("18:00", "2026-11-25T16:00:00"),
            ("23:59:30", "2026-11-25T21:59:30"),
            ("+2h", "2026-11-25T23:30:00"),
            ("+90", "2026-11-25T21:31:30"),
        ] {
            assert_eq!(read(text), utc.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-25",
            "18",
            "1800",
            "25:00",
            "2026-13-01T00:00",
            "-2h",
            "+",
            "+-2h",
            "+1 parsec",
            "18:00 tomorrow",
            "13:00+02:00",
            "13:00[Asia/Tokyo]",
            "2026-11-25T13:00[Asia/Tokyo]",
            "2026-11-25T23:59[foo]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
