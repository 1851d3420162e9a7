//! Logins from a `.netrc` file, as curl reads it.

use std::path::PathBuf;

use super::Address;
use crate::system::files;

/// Longest such file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The text of the file that the variable `NETRC` names, or of `~/.netrc`; none if there is none.
/// A unit of systemd has no `HOME`: then it is that of root.
///
/// # Errors
/// It is there and cannot be read.
pub fn of_user(root_home: &str) -> Result<Option<String>, files::Error> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home =
        || set("HOME").or_else(|| nix::unistd::geteuid().is_root().then(|| root_home.into()));
    let path = set("NETRC")
        .map(PathBuf::from)
        .or_else(|| home().map(|home| PathBuf::from(home).join(".netrc")));
    let Some(path) = path else { return Ok(None) };
    let bytes = files::read(&path, MAX_BYTES)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The address with the login that the file has for its host; unchanged if it has a password
/// already, or the file has none.
pub fn with_login(address: Address, netrc: &str) -> Address {
    if address.has_password() {
        return address;
    }
    match login(netrc, address.host(), address.user()) {
        Some((user, password)) => address.with_login(&user, &password),
        None => address,
    }
}

/// The first entry for a host, and for a user if the address names one; `default` fits every host.
fn login(text: &str, host: &str, user: Option<&str>) -> Option<(String, String)> {
    let mut words = words(text).into_iter();
    let (mut is_ours, mut found_user, mut found_password) = (false, None, None);
    let fits = |found: &Option<String>| user.is_none_or(|user| found.as_deref() == Some(user));
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" | "default" => {
                if is_ours && fits(&found_user) && found_password.is_some() {
                    break;
                }
                is_ours = word == "default"
                    || words.next().is_some_and(|name| name.eq_ignore_ascii_case(host));
                (found_user, found_password) = (None, None);
            }
            "login" => found_user = words.next(),
            "password" => found_password = words.next(),
            "account" => drop(words.next()),
            _ => {}
        }
    }
    let password = found_password.filter(|_| is_ours && fits(&found_user))?;
    Some((found_user.unwrap_or_default(), password))
}

/// The words of a file: in quotes with backslashes, or bare; without comments and macros.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut is_macro) = (Vec::new(), false);
    for line in text.lines() {
        is_macro = is_macro && !line.trim().is_empty();
        let mut rest = line.trim_start();
        while !is_macro && !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = first_word(rest);
            is_macro = word == "macdef";
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

fn first_word(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (word.to_owned(), rest);
    };
    let (mut word, mut letters) = (String::new(), quoted.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => word.extend(letters.next()),
            _ => word.push(letter),
        }
    }
    (word, letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# machine bootstrap.test login c password c\n\
                        machine other.test login x password y\n\
                        machine bootstrap.test\n\tlogin admin\n\tpassword \"a \\\"b#\"\n\
                        macdef init\nmachine bootstrap.test password macro\n\n\
                        machine bootstrap.test login second account z password two\n\
                        default login anonymous password guest\n";

    #[test]
    fn netrc_login_is_found_by_host_and_user() {
        let found = |host: &str, user: Option<&str>| {
            login(TEXT, host, user).map(|(user, password)| format!("{user}:{password}"))
        };
        assert_eq!(found("bootstrap.test", None).as_deref(), Some("admin:a \"b#"));
        assert_eq!(found("BOOTSTRAP.test", Some("second")).as_deref(), Some("second:two"));
        assert_eq!(found("else.test", None).as_deref(), Some("anonymous:guest"));
        assert_eq!(found("else.test", Some("me")), None);
        assert_eq!(login("machine h login", "h", None), None);
        let address = |url: &str| with_login(Address::parse(url).unwrap(), TEXT);
        assert_eq!(address("http://other.test/x").as_str(), "http://x:y@other.test/x");
        assert_eq!(address("http://a:b@other.test/").as_str(), "http://a:b@other.test/");
    }
}
