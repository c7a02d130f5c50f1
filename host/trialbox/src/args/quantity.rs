//! Durations, counts and sizes on the command line.

use jiff::SignedDuration;
use std::num::NonZeroU32;
use std::time::Duration;

/// Reads a duration: `90` (seconds), `90s`, `5m`, `1.5h`, `250ms`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || format!("expected a duration such as 90s, 1.5h or 1h30m, found `{text}`");
    // A number alone is in seconds; jiff wants a unit.
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| error());
    }
    // jiff reads fractions of hours, minutes and seconds, but not of days and milliseconds.
    if let Some(days) = text.strip_suffix('d')
        && let Ok(days) = days.parse::<f64>()
    {
        return Duration::try_from_secs_f64(days * 86_400.0).map_err(|_| error());
    }
    // Other forms of jiff, such as `PT1H` and `1h ago`, are not documented and not taken.
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase() || c == '.');
    let duration = text.parse::<SignedDuration>().ok().filter(|_| is_plain).ok_or_else(error)?;
    Duration::try_from(duration).map_err(|_| error())
}

/// The shortest grace: two heartbeats of a worker. A shorter one fails trials that live.
pub(crate) const MIN_GRACE: Duration = Duration::from_secs(60);

/// Reads a grace, which living workers must be able to keep.
pub(crate) fn parse_grace(text: &str) -> Result<Duration, String> {
    let grace = parse_duration(text)?;
    if grace < MIN_GRACE {
        return Err(format!(
            "expected at least 1m, found `{text}`: a worker's heartbeat comes every 30 s, and a shorter grace fails \
             trials that live"
        ));
    }
    Ok(grace)
}

/// Reads a plain number of at least 1.
pub(crate) fn parse_count(text: &str) -> Result<NonZeroU32, String> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    let count = text.parse().ok().filter(|_| is_plain);
    count.ok_or_else(|| format!("expected a whole number of at least 1, found `{text}`"))
}

/// Reads an amount of memory: `512MiB`, `4GiB`, `1.5G`, `1000000`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let error = || format!("expected a size such as 512MiB or 4GiB, found `{text}`");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(error()),
    };
    let number: f64 = digits.parse().map_err(|_| error())?;
    let bytes = number * factor as f64;
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(error()) }
}

/// Reads the memory of an objective. A small number without a unit is surely meant in megabytes.
///
/// # Errors
/// As [`parse_bytes`].
pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text)?;
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    if !has_unit && bytes < 1 << 20 {
        return Err(format!(
            "expected a size such as 512MiB or 4GiB, found `{text}` bytes: did you mean {text}M?"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_plain_number_of_1_or_more() {
        assert_eq!(parse_count("40").map(NonZeroU32::get), Ok(40));
        for bad in ["", "0", "+10", "-1", "1e3", "2.0", " 3", "4294967296"] {
            let want = format!("expected a whole number of at least 1, found `{bad}`");
            assert_eq!(parse_count(bad), Err(want));
        }
    }

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("5min"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1.5d"), Ok(Duration::from_secs(129_600)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "h", "-1s", "5 parsecs", "nan", "inf", "PT1H", "1h ago", "+5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5g"), Ok(3 << 29));
        assert_eq!(parse_memory("2000000"), Ok(2_000_000));
        assert_eq!(parse_memory("1KiB"), Ok(1024));
        assert!(parse_memory("500").is_err_and(|error| error.contains("did you mean 500M?")));
        for bad in ["", "MiB", "0", "-1", "many"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
