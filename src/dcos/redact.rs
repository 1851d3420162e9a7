//! Takes secrets out of texts that leave the node: by the names that they go by, and by the shapes that they have.
//!
//! A secret that stays is worse than a word too many that goes, so everything here errs on that side.

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secrets: those of DC/OS' configuration (`superuser_password_hash`, `zk_super_credentials`,
/// `exhibitor_azure_account_key`, `aws_secret_access_key`, `license_key_contents`), of docker's and of programs in general.
const NAMES: &str = "passw(?:or)?d|passphrase|secret|token|credential|licen[sc]e|api[_-]?key|access[_-]?key|account[_-]?key|private|\
    auths?\\b|authorization|cookie|psk|shared[_-]?key|signature|[_-]key\\b|[_-]keys\\b|[a-z]Key\\b|htpasswd|realm\\b|pgp|jwt|otp\\b";
/// Names of files whose whole content is a secret.
const FILES: &str =
    "docker_credentials|dockercfg|licen[sc]e|realm|\\.full\\.|exhibitor\\.properties|\\.(?:key|pem|psk|jks|p12)$|secret|passw|credential";

/// A line with more values than these is no line that somebody wrote, and its rest goes.
const MOST_VALUES: usize = 200;

/// The rules, made once for many texts.
#[derive(Debug)]
pub struct Redactor {
    name: Regex,
    file: Regex,
    shapes: Vec<(Regex, &'static str)>,
    /// `NAME=value` and the like: what comes before the value, and the value.
    assigned: Regex,
    opaque: Regex,
}

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean {
    /// The text.
    pub text: String,
    /// How often something was taken out.
    pub taken: usize,
}

impl Redactor {
    /// Makes the rules.
    ///
    /// # Errors
    /// A rule does not parse, which a test rules out.
    pub fn new() -> Result<Redactor, regex::Error> {
        let shapes = [
            // A key goes even if its end is cut off.
            (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)", REDACTED),
            // A password may hold an @ and a slash although it should not.
            (r#"([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>]*@"#, "${1}[redacted]@"),
            (r#"(^|[\s"'=(,])[^\s"'/:@=(,]+:[^\s"'@/]+@([A-Za-z0-9\[])"#, "${1}[redacted]@${2}"),
            (r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", "${1} [redacted]"),
            (r"(?i)(authorization[^\S\r\n]*[:=])[^\r\n]+", "${1} [redacted]"),
            (r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?", REDACTED),
            // crypt(5), and the forms of passlib, which DC/OS Enterprise takes its superuser's hash in.
            (r#"\\?\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|argon2[a-z]*|pbkdf2[a-z0-9-]*|scrypt)\\?\$[^\s"',;]{8,}"#, REDACTED),
            (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", REDACTED),
            (r#"(?i)([?&][\w.-]*(?:sig|token|key|secret|passw)[\w.-]*=)[^&\s"']+"#, "${1}[redacted]"),
            (r#"(?i)(\s--?[\w-]*(?:passw|secret|token|credential|[_-]key)[\w-]*(?:\s+|=))[^\s"'=-][^\s"']*"#, "${1}[redacted]"),
        ];
        let shapes = shapes.into_iter().map(|(shape, instead)| Ok((Regex::new(shape)?, instead))).collect::<Result<_, regex::Error>>()?;
        let assigned = format!(
            r#"(?i)^(.*?["'\\]*[\w.-]*(?:{NAMES})[\w.-]*["'\\]*[^\S\r\n]*(?:=>|[:=])[^\S\r\n]*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\r\n]*)"#
        );
        Ok(Redactor {
            name: Regex::new(&format!("(?i)(?:{NAMES})"))?,
            file: Regex::new(&format!("(?i)(?:{FILES})"))?,
            shapes,
            assigned: Regex::new(&assigned)?,
            opaque: Regex::new(r"[A-Za-z0-9+/_-]{40,}={0,2}")?,
        })
    }

    /// Whether the value of this name is a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.name.is_match(name)
    }

    /// Whether a file of this name has nothing but a secret in it.
    pub fn is_secret_file(&self, path: &str) -> bool {
        self.file.is_match(path.rsplit('/').next().unwrap_or(path))
    }

    /// A text of any kind; JSON is known as such.
    pub fn clean(&self, text: &str) -> Clean {
        let trimmed = text.trim_start();
        if trimmed.starts_with(['{', '['])
            && let Ok(mut value) = serde_json::from_str::<Value>(text)
        {
            let taken = self.value(&mut value);
            // What has no secret stays as it was written.
            let text = if taken == 0 { text.to_owned() } else { serde_json::to_string_pretty(&value).unwrap_or_default() + "\n" };
            return Clean { text, taken };
        }
        self.plain(text)
    }

    /// Takes the secrets out of a value in memory, and says how many there were.
    pub fn value(&self, value: &mut Value) -> usize {
        match value {
            Value::String(text) => {
                let clean = self.clean(text);
                if clean.taken > 0 {
                    *text = clean.text;
                }
                clean.taken
            }
            Value::Array(list) => list.iter_mut().map(|value| self.value(value)).sum(),
            Value::Object(object) => {
                let word = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (path, name) = (word("path"), word("name"));
                let mut taken = 0;
                for (key, value) in object.iter_mut() {
                    // A file in a record of ours, and a variable as docker and Marathon list them.
                    let by_another =
                        (key == "content" || key == "before") && self.is_secret_file(&path) || key == "value" && self.is_secret_name(&name);
                    taken += if by_another || self.is_secret_name(key) { take(value) } else { self.value(value) };
                }
                taken
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    fn plain(&self, text: &str) -> Clean {
        let mut taken = 0;
        let mut clean = text.to_owned();
        for (shape, instead) in &self.shapes {
            let found = shape.find_iter(&clean).count();
            if found > 0 {
                clean = shape.replace_all(&clean, *instead).into_owned();
                taken += found;
            }
        }
        let (clean, by_name) = self.assignments(&clean);
        let mut opaque = 0;
        let clean = self.opaque.replace_all(&clean, |found: &Captures| {
            let word = found.get(0).map_or("", |m| m.as_str());
            let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
            // Ids and digests have no capitals, and paths begin with a slash.
            let is_secret = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
            if !is_secret || word.starts_with('/') {
                return word.to_owned();
            }
            opaque += 1;
            REDACTED.to_owned()
        });
        Clean { text: clean.into_owned(), taken: taken + by_name + opaque }
    }

    /// Values by their names, line by line; what is indented more deeply than a name without a value of its own belongs to it (YAML, JSON that is cut).
    fn assignments(&self, text: &str) -> (String, usize) {
        let (mut clean, mut taken) = (String::with_capacity(text.len()), 0);
        // Where the name stands whose value is below it, and whether some of that has been seen.
        let mut below: Option<(usize, bool)> = None;
        for line in text.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            if let Some((above, seen)) = below
                && (indent > above || line.trim().is_empty())
            {
                if !seen && !line.trim().is_empty() {
                    taken += 1;
                    clean.push_str(&format!("{}{REDACTED}\n", " ".repeat(indent)));
                    below = Some((above, true));
                }
                continue;
            }
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let open = self.line(line, &mut clean, &mut taken);
            below = open.then_some((indent, false));
            clean.push_str(end);
        }
        (clean, taken)
    }

    /// One line, value by value; says whether the last name has its value in the lines below.
    fn line(&self, line: &str, clean: &mut String, taken: &mut usize) -> bool {
        let mut rest = line;
        for _ in 0..MOST_VALUES {
            let Some(found) = self.assigned.captures(rest) else {
                clean.push_str(rest);
                return false;
            };
            let (before, value) = (found.get(1).map_or("", |m| m.as_str()), found.get(2).map_or("", |m| m.as_str()));
            clean.push_str(before);
            rest = rest.get(before.len()..).unwrap_or_default();
            if is_no_variable(before) {
                continue;
            }
            rest = rest.get(value.len()..).unwrap_or_default();
            match value.trim().trim_matches(['"', '\'', ',']) {
                "" | "true" | "false" | "null" | REDACTED => clean.push_str(value),
                "|" | ">" | "|-" | ">-" | "|+" | "{" | "[" => {
                    clean.push_str(value);
                    return true;
                }
                _ => {
                    *taken += 1;
                    clean.push_str(REDACTED);
                }
            }
            if value.trim().is_empty() {
                return true;
            }
        }
        clean.push_str(REDACTED);
        false
    }
}

/// A unit or a source file that has something to say, in a log.
fn is_no_variable(before: &str) -> bool {
    let name = before.trim_end_matches([' ', ':', '=']);
    [".service", ".socket", ".timer", ".py", ".go", ".erl", ".lua", ".java"].iter().any(|suffix| name.ends_with(suffix))
}

/// Takes a whole value, whatever it is; what says only whether there is a secret stays.
fn take(value: &mut Value) -> usize {
    if matches!(value, Value::Null | Value::Bool(_)) || value.as_str().is_some_and(|text| text.is_empty() || text == REDACTED) {
        return 0;
    }
    *value = Value::from(REDACTED);
    1
}

#[cfg(test)]
mod tests;
