//! What differs between what was installed and what stands, in the letters that `rpm -V` has for
//! it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// One thing that is not as it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    #[serde(rename = "what")]
    pub object: Compared,
    /// How it differs.
    pub kind: Kind,
    /// Whom it belongs to: the id of a package, or a word for what an install makes besides
    /// packages.
    pub of: String,
    /// Whether it is configuration, or what DC/OS writes while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// What of it differs; empty for what is missing or extra.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// What is compared. Paths sort before accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compared {
    /// A path as the node sees it.
    Path(PathBuf),
    /// An account, or its line in one file.
    Account {
        /// Name of the user.
        user: String,
        /// The file whose line is meant; none for the account as a whole.
        file: Option<&'static str>,
    },
}

/// How a thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is there and is another one.
    Changed,
    /// It should be there.
    Missing,
    /// It should not be there.
    Extra,
}

/// What a thing is, where that changes what a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Configuration, which an operator may have changed on purpose.
    Config,
    /// Changed by DC/OS while it runs ([`super::run_time`]): no damage.
    RunTime,
    /// Changed on purpose, and recorded so: no damage.
    Accepted,
}

/// One property of a thing, as it was installed and as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Which.
    pub aspect: Aspect,
    /// As it was installed.
    pub was: String,
    /// As it is; `?` if it cannot be read.
    pub is: String,
}

/// A property that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Bytes.
    Size,
    /// Permission bits.
    Mode,
    /// SHA-256.
    Digest,
    /// File, directory or link.
    Kind,
    /// Where a link points.
    Link,
    /// The user.
    User,
    /// The group.
    Group,
    /// When it was written; compared where contents are not.
    Time,
    /// File capabilities.
    Capabilities,
    /// The SELinux label.
    Label,
}

/// The columns of `rpm -V`, in its order, with its letters. Of devices it has a D; packages of
/// DC/OS have none, so it is the kind of thing here.
const COLUMNS: [(Aspect, char); 9] = [
    (Aspect::Size, 'S'),
    (Aspect::Mode, 'M'),
    (Aspect::Digest, '5'),
    (Aspect::Kind, 'D'),
    (Aspect::Link, 'L'),
    (Aspect::User, 'U'),
    (Aspect::Group, 'G'),
    (Aspect::Time, 'T'),
    (Aspect::Capabilities, 'P'),
];
/// What stands for a property that cannot be read.
pub const UNREAD: &str = "?";

impl Difference {
    /// A thing that is missing.
    pub fn missing(object: impl Into<Compared>, of: impl Into<String>) -> Difference {
        Difference {
            object: object.into(),
            kind: Kind::Missing,
            of: of.into(),
            mark: None,
            details: Vec::new(),
        }
    }

    /// A thing that should not be there.
    pub fn extra(object: impl Into<Compared>, of: impl Into<String>) -> Difference {
        Difference { kind: Kind::Extra, ..Difference::missing(object, of) }
    }

    /// A thing with these properties changed; none if there are none.
    pub fn changed(
        object: impl Into<Compared>,
        of: impl Into<String>,
        details: Vec<Detail>,
    ) -> Option<Difference> {
        (!details.is_empty()).then(|| Difference {
            kind: Kind::Changed,
            details,
            ..Difference::missing(object, of)
        })
    }

    /// With its mark as configuration or not.
    pub fn marked(self, is_config: bool) -> Difference {
        Difference { mark: is_config.then_some(Mark::Config), ..self }
    }

    /// Whether somebody has to see to it.
    pub fn is_drift(&self) -> bool {
        !matches!(self.mark, Some(Mark::RunTime | Mark::Accepted))
    }

    /// Whether only its content differs, or what kind of thing it is.
    pub fn is_of_content(&self) -> bool {
        use Aspect::{Digest, Kind as IsKind, Link, Size, Time};
        self.kind == Kind::Changed
            && self.details.iter().all(|d| matches!(d.aspect, Digest | IsKind | Link | Size | Time))
    }

    /// Whether it only could not be read, and is as it should be as far as that is known.
    pub fn is_unread(&self) -> bool {
        self.kind == Kind::Changed && self.details.iter().all(|detail| detail.is == UNREAD)
    }

    /// The nine columns of `rpm -V`, and a tenth for the SELinux label; a word for what is missing
    /// or extra. Ten characters.
    pub fn letters(&self) -> String {
        let letter = |aspect: Aspect, letter: char| match self
            .details
            .iter()
            .find(|detail| detail.aspect == aspect)
        {
            None => '.',
            Some(detail) if detail.is == UNREAD => '?',
            Some(_) => letter,
        };
        match self.kind {
            Kind::Missing => "missing   ".to_owned(),
            Kind::Extra => "extra     ".to_owned(),
            Kind::Changed => {
                let label = self.details.iter().any(|detail| detail.aspect == Aspect::Label);
                let columns = COLUMNS.iter().map(|(aspect, its)| letter(*aspect, *its));
                columns.chain([if label { 'Z' } else { ' ' }]).collect()
            }
        }
    }
}

impl Compared {
    /// The account of a user as a whole.
    pub fn account(user: &str) -> Compared {
        Compared::Account { user: user.to_owned(), file: None }
    }

    /// The path, unless it is an account.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Compared::Path(path) => Some(path),
            Compared::Account { .. } => None,
        }
    }

    /// The path, unless it is an account.
    pub fn into_path(self) -> Option<PathBuf> {
        match self {
            Compared::Path(path) => Some(path),
            Compared::Account { .. } => None,
        }
    }

    /// Whether it is a path at or below a directory.
    pub fn is_below(&self, directory: impl AsRef<Path>) -> bool {
        self.path().is_some_and(|path| path.starts_with(directory))
    }
}

impl<P: Into<PathBuf>> From<P> for Compared {
    fn from(path: P) -> Compared {
        Compared::Path(path.into())
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compared::Path(path) => path.display().fmt(f),
            Compared::Account { user, file: None } => f.write_str(user),
            Compared::Account { user, file: Some(file) } => write!(f, "{user} in {file}"),
        }
    }
}

impl Serialize for Compared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Compared::Path(path) => path.serialize(serializer),
            Compared::Account { .. } => serializer.collect_str(self),
        }
    }
}

impl Detail {
    /// A property that differs; none if it does not.
    pub fn of<T: PartialEq>(
        aspect: Aspect,
        was: T,
        is: T,
        words: impl Fn(&T) -> String,
    ) -> Option<Detail> {
        (was != is).then(|| Detail { aspect, was: words(&was), is: words(&is) })
    }
}

impl Mark {
    /// The letter beside the path: that of rpm for configuration, and for files that a package owns
    /// and others write.
    pub fn letter(self) -> char {
        match self {
            Mark::Config => 'c',
            Mark::RunTime => 'g',
            Mark::Accepted => 'a',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(aspect: Aspect, is: &str) -> Detail {
        Detail { aspect, was: "x".into(), is: is.into() }
    }

    #[test]
    fn the_letters_are_in_the_columns_that_rpm_has_them_in() {
        let details =
            [Aspect::Digest, Aspect::Size, Aspect::Time].map(|aspect| detail(aspect, "y")).to_vec();
        let mut changed = Difference::changed("/x", "a--1", details).unwrap();
        assert_eq!(changed.letters(), "S.5....T. ");
        changed.details = vec![detail(Aspect::Digest, UNREAD), detail(Aspect::Label, "y")];
        assert_eq!((changed.letters().as_str(), changed.is_unread()), ("..?......Z", false));
        assert_eq!(
            (
                Difference::missing("/x", "").letters().len(),
                Difference::extra("/x", "").letters().len()
            ),
            (10, 10)
        );
        assert_eq!(Difference::changed("/x", "", Vec::new()), None);
    }

    #[test]
    fn difference_of_an_account_is_written_by_its_name() {
        let line = Compared::Account { user: "dcos_a".into(), file: Some("/etc/shadow") };
        let all = [
            ("/opt/mesosphere/bin".into(), "/opt/mesosphere/bin"),
            (Compared::account("dcos_a"), "dcos_a"),
            (line, "dcos_a in /etc/shadow"),
            (Compared::account("dcos_b"), "dcos_b"),
        ];
        assert!(all.is_sorted());
        for (object, text) in all {
            assert_eq!(object.to_string(), text);
            assert_eq!(object.is_below("/opt"), text.starts_with("/opt"));
            let written = serde_json::to_value(Difference::missing(object, "x")).unwrap();
            assert_eq!(written["what"], text);
        }
    }
}
