//! Precautions that are left out, for benchmarks of what they cost; never in a release.

/// Returns whether the environment asks for a precaution to be left out.
#[cfg(feature = "failpoints")]
pub(super) fn is_omitted(precaution: &str) -> bool {
    std::env::var(crate::wire::protocol::OMITTED_PRECAUTIONS)
        .is_ok_and(|names| names.split(',').any(|name| name == precaution))
}

#[cfg(not(feature = "failpoints"))]
pub(super) const fn is_omitted(_precaution: &str) -> bool {
    false
}
