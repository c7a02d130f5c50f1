//! Gaussian noise as a pure function of a key, so that both sides of a comparison meet the same noise.

/// Returns a standard normal number made of `key`: Box and Muller's transform of two hashes of it.
pub(crate) fn gaussian(key: u64) -> f64 {
    let (a, b) = (split_mix(key), split_mix(key ^ 0xD1B5_4A32_D192_ED03));
    // In (0, 1], because the logarithm is taken, and in [0, 1).
    let radius_u = ((a >> 11) + 1) as f64 / ((1u64 << 53) as f64 + 1.0);
    let angle_u = (b >> 11) as f64 / (1u64 << 53) as f64;
    (-2.0 * radius_u.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle_u).cos()
}

/// Returns a seed for one problem, made of a seed for all of them.
pub(crate) fn mix(seed: u64, name: &str) -> u64 {
    name.bytes().fold(seed, |state, byte| split_mix(state ^ u64::from(byte)))
}

/// Returns one step of SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators").
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
