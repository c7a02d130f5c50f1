//! Digests of content.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            // A number may have a sign.
            let is_hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
        }
        Some(Digest(bytes))
    }

    /// Reads `sha256:` with 64 hexadecimal digits, as registries write it.
    pub fn from_oci(text: &str) -> Option<Self> {
        Self::from_hex(text.strip_prefix("sha256:")?)
    }

    /// Returns the 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits_and_nothing_else() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let empty = Digest::of(b"");
        assert_eq!(Digest::from_hex(text), Some(empty));
        assert_eq!(Digest::from_hex(&text.to_uppercase()), Some(empty));
        assert_eq!(Digest::from_oci(&empty.to_string()), Some(empty));
        let signed = format!("+3{}", &text[2..]);
        for bad in
            ["", &text[1..], &format!("{text}0"), &signed, &text.replace('e', "g"), &"é".repeat(32)]
        {
            assert_eq!(Digest::from_hex(bad), None, "{bad}");
        }
        assert_eq!(Digest::from_oci(text), None);
    }
}
