//! What a part of the cluster answered, or why it did not.

use std::fmt;

/// What a part of the cluster answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// This.
    Told(T),
    /// It asks for a login, so it lives; or only root may read what it is asked with, and nothing
    /// is known against it.
    Locked,
    /// Nothing that can be used.
    Silent(Silence),
}

/// Why a part did not answer; for people, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Its certificate, or one to which it sends us, is not trusted.
    Certificate(String),
    /// Anything else.
    Other(String),
}

impl<T: Into<String>> From<T> for Silence {
    fn from(text: T) -> Silence {
        Silence::Other(text.into())
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Silence::Certificate(text) | Silence::Other(text)) = self;
        f.write_str(text)
    }
}

impl<T> Answer<T> {
    /// What was told.
    pub fn told(&self) -> Option<&T> {
        match self {
            Answer::Told(told) => Some(told),
            _ => None,
        }
    }

    /// Why nothing was told; none from one that lives.
    pub fn silence(&self) -> Option<&Silence> {
        match self {
            Answer::Silent(why) => Some(why),
            _ => None,
        }
    }
}
