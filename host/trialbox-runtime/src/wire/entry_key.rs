//! The key under which the compiled code of one component is written to the cache and read from it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// The length of a key, and of the code that authenticates an entry (HMAC-SHA-256, RFC 2104).
pub(crate) const KEY_BYTES: usize = 32;

/// The key of one component's entries. It is derived from the user's key, so that a guest process can neither read nor
/// forge the entries of another component.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EntryKey([u8; KEY_BYTES]);

impl EntryKey {
    /// Derives the key for the component with this SHA-256.
    pub(crate) fn derive(users_key: &[u8; KEY_BYTES], sha256: &str) -> Self {
        EntryKey(authenticator(users_key, &[b"compiled code of ", sha256.as_bytes()]).finalize())
    }

    /// Returns the bytes that authenticate the code of an entry with this name.
    pub(crate) fn authenticate(&self, name: &str, code: &[u8]) -> [u8; KEY_BYTES] {
        self.of_entry(name, code).finalize()
    }

    /// Returns whether an entry with this name was written under this key.
    pub(crate) fn has_written(&self, found: &[u8; KEY_BYTES], name: &str, code: &[u8]) -> bool {
        self.of_entry(name, code).0.verify_slice(found).is_ok()
    }

    fn of_entry(&self, name: &str, code: &[u8]) -> Authenticator {
        // Names have one length, so that no other name and code give the same bytes.
        authenticator(&self.0, &[name.as_bytes(), code])
    }
}

impl Drop for EntryKey {
    /// Overwrites the key, so that code that runs later in this process does not find it in free memory.
    fn drop(&mut self) {
        self.0.fill(0);
        // Without a reader, the compiler could leave out the write.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntryKey")
    }
}

struct Authenticator(Hmac<Sha256>);

impl Authenticator {
    fn finalize(self) -> [u8; KEY_BYTES] {
        self.0.finalize().into_bytes().into()
    }
}

fn authenticator(key: &[u8; KEY_BYTES], pieces: &[&[u8]]) -> Authenticator {
    // A key shorter than a block of the hash is filled up with zeros (RFC 2104, section 2).
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for piece in pieces {
        mac.update(piece);
    }
    Authenticator(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_a_component_vouches_for_its_entries() {
        let ours = EntryKey::derive(&[7; KEY_BYTES], "aa");
        let found = ours.authenticate("entry", b"code");
        assert!(ours.has_written(&found, "entry", b"code"));
        assert!(!ours.has_written(&found, "other", b"code"));
        assert!(!ours.has_written(&found, "entry", b"c0de"));
        for other in
            [EntryKey::derive(&[7; KEY_BYTES], "ab"), EntryKey::derive(&[8; KEY_BYTES], "aa")]
        {
            assert!(!other.has_written(&found, "entry", b"code"));
        }
    }

    #[test]
    fn a_key_is_not_in_messages() {
        assert_eq!(format!("{:?}", EntryKey::derive(&[7; KEY_BYTES], "aa")), "EntryKey");
    }
}
