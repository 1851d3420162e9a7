//! The stamp that `publish` puts into the program: where its build is, and which build that must
//! be.

use serde::{Deserialize, Serialize};

use super::index::is_sha256;

/// What a stamped program knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Where the build was when it was published; without credentials, because everybody may read
    /// the program.
    pub bootstrap_url: String,
    /// The SHA-256 of the build index, 64 hexadecimal digits: no other build is installed.
    pub index_sha256: String,
}

impl Stamp {
    /// The text of the stamp.
    pub fn text(&self) -> Vec<u8> {
        // Two strings can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the text of a stamp whose sum was right.
    ///
    /// # Errors
    /// A stamp that this program did not write.
    pub fn parse(text: &[u8]) -> Result<Stamp, String> {
        let stamp: Stamp =
            serde_json::from_slice(text).map_err(|e| format!("its stamp cannot be read: {e}"))?;
        if is_sha256(&stamp.index_sha256) {
            Ok(stamp)
        } else {
            Err("its stamp does not hold the SHA-256 of an index".to_owned())
        }
    }
}
