//! The path of a request as a relative path.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Decodes the path of a request; none if it names no file below a directory, or a hidden one.
/// Several slashes count as one.
pub fn decoded(asked: &str) -> Option<PathBuf> {
    let parts = asked.strip_prefix('/')?.split('/').filter(|part| !part.is_empty());
    let decoded: PathBuf = parts.map(part).collect::<Option<_>>()?;
    // A slash at the end names a directory.
    (!asked.ends_with('/') && !is_hidden(&decoded)).then_some(decoded)
}

/// Whether any name in a path begins with a dot; `..` does, too.
pub fn is_hidden(path: &Path) -> bool {
    path.components().any(|name| name.as_os_str().as_bytes().starts_with(b"."))
}

fn part(text: &str) -> Option<OsString> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let digits =
            piece.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(piece.get(2..)?.as_bytes());
    }
    // A slash that was encoded would be a second component.
    let is_name = !bytes.is_empty()
        && !bytes.contains(&b'/')
        && !bytes.contains(&0)
        && !bytes.starts_with(b".");
    is_name.then(|| OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(decoded("/packages/a%2db/a--b.tar.xz"), Some("packages/a-b/a--b.tar.xz".into()));
        assert_eq!(decoded("//dcos-node"), Some("dcos-node".into()));
        for bad in [
            "",
            "x",
            "/../x",
            "/a/../b",
            "/%2e%2e/x",
            "/.%2e/x",
            "/a%2f..%2fb",
            "/%2fetc/passwd",
            "/.hidden",
            "/a/.git/x",
            "/%2ehidden",
            "/a%00b",
            "/a%zz",
            "/a%2",
            "/a%+1",
            "/a/",
            "/./a",
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
