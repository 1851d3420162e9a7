//! Where bytes come from: a server or a directory.

mod download;
mod error;
mod mirrors;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::files;
use super::http::{Address, Body, Client, netrc};

pub use download::{Download, Reader};
pub use error::Error;
pub use mirrors::Mirrors;

/// A place that holds files under relative names.
#[derive(Debug, Clone)]
pub enum Source {
    /// A server that is spoken to over HTTP.
    Server {
        /// How.
        client: Client,
        /// What the names are relative to.
        base: Address,
    },
    /// A directory, by its absolute path.
    Directory(PathBuf),
}

impl Source {
    /// Reads `http://...`, `https://...`, `file:///...` or an absolute path; nothing is asked or
    /// opened yet.
    pub fn parse(place: &str, client: &Client) -> Result<Self, Error> {
        let path = match place.split_once("://") {
            Some(("http" | "https", _)) => {
                return Ok(Self::Server { client: client.clone(), base: Address::parse(place)? });
            }
            Some(("file", rest)) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return Err(Error::NoPlace {
                        place: place.to_owned(),
                        reason: "a file: URL has three slashes, as in file:///srv/dcos",
                    });
                }
                decoded(path).ok_or_else(|| Error::NoPlace {
                    place: place.to_owned(),
                    reason: "it contains a % without two digits after it",
                })?
            }
            // It may carry credentials, so only its start is shown.
            Some((scheme, _)) => {
                return Err(Error::NoPlace {
                    place: format!("{scheme}://..."),
                    reason: "it must start with http://, https://, file:// or /",
                });
            }
            None => place.into(),
        };
        if !path.is_absolute() {
            return Err(Error::NoPlace {
                place: place.to_owned(),
                reason: "it must start with http://, https://, file:// or /",
            });
        }
        Ok(Self::Directory(path))
    }

    /// A whole file of at most `limit_bytes`.
    pub async fn read(&self, relative: &str, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        check(relative)?;
        match self {
            Self::Server { client, base } => {
                Ok(client.get(base.below(relative).as_str(), limit_bytes).await?)
            }
            Self::Directory(directory) => {
                let (path, file, length) = open(directory, relative)?;
                let mut content = Vec::new();
                let read = if length > limit_bytes {
                    Ok(0)
                } else {
                    file.take(limit_bytes + 1).read_to_end(&mut content)
                };
                read.map_err(|source| Error::File { path: path.clone(), source })?;
                if length.max(content.len() as u64) > limit_bytes {
                    Err(Error::TooLarge { path, limit: limit_bytes })
                } else {
                    Ok(content)
                }
            }
        }
    }

    /// A file of at most `limit_bytes` as a blocking reader; its bytes are never in memory all at
    /// once.
    pub async fn open(&self, relative: &str, limit_bytes: u64) -> Result<Download, Error> {
        check(relative)?;
        match self {
            Self::Server { client, base } => {
                let address = base.below(relative);
                let body = client.open(address.as_str(), limit_bytes).await?;
                Ok(Download::of_body(body, address.to_string()))
            }
            Self::Directory(directory) => {
                let (path, file, length) = open(directory, relative)?;
                if length > limit_bytes {
                    return Err(Error::TooLarge { path, limit: limit_bytes });
                }
                Ok(Download::of_file(file, length, path))
            }
        }
    }

    /// Whether there is such a file, and how long it is. Of its content nothing is fetched.
    pub async fn presence(&self, relative: &str) -> Result<Presence, Error> {
        check(relative)?;
        match self {
            Self::Server { client, base } => {
                let address = base.below(relative);
                let head = client.head(address.as_str()).await?;
                match head.status {
                    200 => return Ok(Presence::Present { bytes: head.length }),
                    404 | 410 => return Ok(Presence::Absent),
                    _ => {}
                }
                // Some servers know only GET, or allow nothing else. The connection is closed
                // before more than the beginning has come.
                match client.open(address.as_str(), u64::MAX).await {
                    Ok(Body { length, .. }) => Ok(Presence::Present { bytes: length }),
                    Err(error) if error.is_not_found() => Ok(Presence::Absent),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Directory(directory) => match open(directory, relative) {
                Ok((.., length)) => Ok(Presence::Present { bytes: Some(length) }),
                Err(error) if error.is_not_found() => Ok(Presence::Absent),
                Err(error) => Err(error),
            },
        }
    }

    /// The same place with the login that a `.netrc` has for its server.
    pub fn with_login(self, netrc: &str) -> Self {
        match self {
            Self::Server { client, base } => {
                Self::Server { client, base: netrc::with_login(base, netrc) }
            }
            directory => directory,
        }
    }

    /// The same place, asked with less patience: one attempt, and so long for an answer.
    pub fn impatient(&self, answer: Duration) -> Self {
        match self {
            Self::Server { client, base } => {
                Self::Server { client: client.impatient(answer), base: base.clone() }
            }
            Self::Directory(path) => Self::Directory(path.clone()),
        }
    }
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is not.
    Absent,
    /// It is.
    Present {
        /// How long it is, if the server tells.
        bytes: Option<u64>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { base, .. } => base.fmt(f),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

/// Names come from servers too, and must not lead out of a directory.
fn check(relative: &str) -> Result<(), Error> {
    let inside =
        Path::new(relative).components().all(|component| matches!(component, Component::Normal(_)));
    if inside && !relative.is_empty() && !relative.contains('\0') {
        Ok(())
    } else {
        Err(Error::NoName(relative.to_owned()))
    }
}

/// Opens a file of a directory and tells its path and length.
fn open(directory: &Path, relative: &str) -> Result<(PathBuf, File, u64), Error> {
    let path = directory.join(relative);
    let failed = |source| Error::File { path: path.clone(), source };
    let file = files::open_file(&path).map_err(|source| {
        // Of a directory that is not there nobody knows which files it would have.
        match files::check_directory(directory) {
            Err(source) => Error::Directory { path: directory.to_owned(), source },
            Ok(()) => failed(source),
        }
    })?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((path, file, length))
}

/// The path of a `file:` URL, its `%20` and the like decoded.
fn decoded(path: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let mut parts = path.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::http;

    fn parse(place: &str) -> Result<Source, Error> {
        Source::parse(place, &Client::new(&http::Options::default()).unwrap())
    }

    #[test]
    fn places_are_servers_and_absolute_directories() {
        for (place, shown) in [
            ("http://host:8080/dcos", "http://host:8080/dcos"),
            ("https://user:secret@host/a?token=secret", "https://host/a?..."),
            ("file:///srv/a%20b", "/srv/a b"),
            ("file://localhost/srv", "/srv"),
            ("/srv/dcos", "/srv/dcos"),
        ] {
            let source = parse(place).unwrap();
            assert_eq!(source.to_string(), shown);
            assert!(!format!("{source:?}").contains("secret"));
        }
        for place in [
            "",
            "srv",
            "./srv",
            "ftp://user:secret@host/",
            "file://host/srv",
            "file:///a%2",
            "http://",
            "https://user:secret@:x/",
        ] {
            let error = parse(place).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn source_names_stay_inside_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "12345").unwrap();
        let source = Source::Directory(directory.path().join("sub/.."));
        for name in ["../file", "/etc/passwd", "", "a/../file", "./file", "file\0"] {
            assert!(matches!(source.read(name, 10).await, Err(Error::NoName(_))), "{name:?}");
        }
        let source = Source::Directory(directory.path().to_owned());
        assert_eq!(source.read("file", 5).await.unwrap(), b"12345");
        assert!(matches!(source.read("file", 4).await, Err(Error::TooLarge { limit: 4, .. })));
        assert!(source.open("file", 4).await.unwrap_err().is_too_large());
        assert_eq!(source.presence("file").await.unwrap(), Presence::Present { bytes: Some(5) });
        assert_eq!(source.presence("nothing").await.unwrap(), Presence::Absent);
        assert!(source.open("nothing", 10).await.unwrap_err().is_not_found());
        // What is in a directory that is not there is not known.
        let missing = Source::Directory(directory.path().join("missing"));
        assert!(matches!(missing.read("file", 10).await, Err(Error::Directory { .. })));
        assert!(missing.presence("file").await.is_err());
        assert!(!missing.open("file", 10).await.unwrap_err().is_not_found());
    }
}
