//! Lines that are a name and a value with nothing but white space between: `.netrc`, properties,
//! shells, nginx, redis. In a log such a line may as well be two words of a message, so that there
//! a value counts only if it is no word.

use std::ops::Range;

use regex::Regex;

use super::names::Names;
use super::rule::compile;
use super::shapes::{is_no_password, says_nothing};

/// What a switch says.
const SWITCHES: [&str; 4] = ["yes", "no", "on", "off"];

/// The rule, made once for many texts.
#[derive(Debug)]
pub(super) struct Pairs {
    pair: Regex,
}

impl Pairs {
    pub(super) fn new() -> Result<Pairs, regex::Error> {
        let set = r"(?:(?:set|setenv|export|env)\s+(?:-\w+\s+)*)?";
        let pair = format!(
            r#"(?i)^\s*(?:- +)*{set}["']?([\w.-]+)["']?[ \t]+("[^"]*"|'[^']*'|[^\s"']+?);?\s*(?:#.*)?$"#
        );
        Ok(Pairs { pair: compile(&pair)? })
    }

    /// Where on this line the value of a secret name stands.
    pub(super) fn value(
        &self,
        line: &str,
        is_of_a_file: bool,
        names: &Names,
    ) -> Option<Range<usize>> {
        let found = self.pair.captures(line)?;
        let (name, value) = (found.get(1)?.as_str(), found.get(2)?);
        let is_word =
            value.as_str().trim_end_matches(['.', ',', ':']).chars().all(char::is_alphabetic);
        let is_other = says_nothing(value.as_str())
            || is_no_password(value.as_str())
            || SWITCHES.contains(&value.as_str());
        let is_secret =
            names.has(name) && !is_other && !is_place(value.as_str()) && (is_of_a_file || !is_word);
        is_secret.then(|| value.range())
    }
}

/// A path, an address (the password in one is known by its shape), or what opens a block: none is
/// the secret itself.
fn is_place(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let is_address =
        bare.split('/').next().is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok());
    bare.starts_with(['/', '{', '[', '(', '$', '<'])
        || is_address
        || bare.contains("://")
        || !bare.contains(char::is_alphanumeric)
}
