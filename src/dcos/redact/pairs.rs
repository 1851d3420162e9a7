//! Lines that are a name and a value with nothing but white space between: `.netrc`, properties,
//! shells, nginx, redis. In a log such a line may as well be two words of a message, so that there
//! a value counts only if it is no word.

use std::ops::Range;

use super::forms::pair;
use super::names::Names;
use super::shapes::{is_no_password, says_nothing};

/// What a switch says.
const SWITCHES: [&str; 4] = ["yes", "no", "on", "off"];

/// Where on this line the value of a secret name stands.
pub(super) fn value(line: &str, is_of_a_file: bool, names: &Names) -> Option<Range<usize>> {
    let (name, value) = pair(line)?;
    let is_word = value.trim_end_matches(['.', ',', ':']).chars().all(char::is_alphabetic);
    let is_other = says_nothing(value) || is_no_password(value) || SWITCHES.contains(&value);
    let is_secret = !is_other && !is_place(value) && (is_of_a_file || !is_word) && names.has(name);
    let from = value.as_ptr().addr() - line.as_ptr().addr();
    is_secret.then(|| from..from + value.len())
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
