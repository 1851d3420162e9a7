//! Passwords on the command line: every user sees them in `ps`, and journald copies them into each
//! entry of the process (`_CMDLINE`). The options that may have one are moved into the environment,
//! which only root and the user of the process can read.

use std::ffi::{OsStr, OsString};

/// Options with a URL, and the variable of each.
const OPTIONS: [(&str, &str); 2] =
    [("--bootstrap-url", "DCOS_NODE_BOOTSTRAP_URL"), ("--mirror", "DCOS_NODE_MIRROR")];
/// Its URL becomes part of a program that everybody may read, so that it refuses a password.
const PUBLISH: &str = "publish";

/// A command line without passwords, and the variables that have them in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The command line, with the name of the program.
    pub arguments: Vec<OsString>,
    /// Names and values.
    pub variables: Vec<(&'static str, OsString)>,
}

impl Hidden {
    /// What to say of it, before the process goes on without the password.
    pub fn warning(&self) -> String {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| *name).collect();
        format!(
            "warning: a password on the command line can be read by every user of this node; set \
             {} instead, or put it into ~/.netrc\n",
            names.join(" and ")
        )
    }
}

/// Moves the options that have a password into variables; none if no option has one.
pub fn hidden(arguments: &[OsString]) -> Option<Hidden> {
    if arguments.iter().any(|word| word == PUBLISH) {
        return None;
    }
    let mut hidden = Hidden { arguments: arguments.to_vec(), variables: Vec::new() };
    for (option, variable) in OPTIONS {
        let (rest, values) = taken(&hidden.arguments, option);
        if values.iter().any(|value| has_password(value)) {
            // Several places are one value, with white space between them.
            hidden.arguments = rest;
            hidden.variables.push((variable, values.join(OsStr::new(" "))));
        }
    }
    (!hidden.variables.is_empty()).then_some(hidden)
}

/// The words without an option and its values, and these.
fn taken(arguments: &[OsString], option: &str) -> (Vec<OsString>, Vec<OsString>) {
    let (mut rest, mut values) = (Vec::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            rest.push(word.clone());
            rest.extend(words.by_ref().cloned());
        } else if text == option {
            values.extend(words.next().cloned());
        } else if let Some(value) =
            text.strip_prefix(option).and_then(|rest| rest.strip_prefix('='))
        {
            values.push(value.into());
        } else {
            rest.push(word.clone());
        }
    }
    (rest, values)
}

/// `http://USER:PASSWORD@HOST`, or a query, which may be a token.
fn has_password(url: &OsStr) -> bool {
    let text = url.to_string_lossy();
    let Some((_, rest)) = text.split_once("://") else { return false };
    // A password may have a slash in it although it should not.
    let user = rest.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || rest.contains('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn passwords_move_from_the_command_line_to_variables() {
        let line = "dcos-node fetch --bootstrap-url=http://u:p@h/ --mirror http://a --mirror \
                    http://u:q@b -q";
        let hidden = hidden(&words(line)).unwrap();
        assert_eq!(hidden.arguments, words("dcos-node fetch -q"));
        assert_eq!(
            hidden.variables,
            [
                ("DCOS_NODE_BOOTSTRAP_URL", "http://u:p@h/".into()),
                ("DCOS_NODE_MIRROR", "http://a http://u:q@b".into())
            ]
        );
        assert!(!hidden.warning().contains("u:p"));
        for harmless in [
            "dcos-node fetch --bootstrap-url http://h:8080/ --mirror http://user@b",
            "dcos-node publish --bootstrap-url http://u:p@h/",
            "dcos-node fetch -- --bootstrap-url=http://u:p@h/",
            "dcos-node status",
        ] {
            assert_eq!(super::hidden(&words(harmless)), None, "{harmless}");
        }
    }
}
