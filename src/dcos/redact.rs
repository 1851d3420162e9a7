//! Takes secrets out of texts that leave the node: by the names that they go by, and by the shapes
//! that they have.
//!
//! A secret that stays is worse than a word too many that goes, so everything here errs on that
//! side. What support needs stays all the same: ids and digests of packages, builds, agents and
//! images, units, paths, addresses (a test has them).

mod below;
mod forms;
mod keys;
mod lines;
mod names;
mod pairs;
mod rule;
mod shapes;
mod tools;

use std::collections::HashMap;

use serde_json::{Map, Value};

use lines::Lines;
use names::Names;
use shapes::{Shapes, says_nothing};

pub use rule::REDACTED;

/// The shortest secret that is known by its shape alone has so many bytes: a JSON web token.
const SHORTEST_SHAPE: usize = 16;

/// The rules, made once for many texts.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    shapes: Shapes,
    lines: Lines,
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
        Ok(Redactor { names: Names::new()?, shapes: Shapes::new()?, lines: Lines::new()? })
    }

    /// Whether the value of this name is a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.names.has(name)
    }

    /// Whether a file of this name has nothing but a secret in it.
    pub fn is_secret_file(&self, path: &str) -> bool {
        self.names.has_file(path)
    }

    /// A text of any kind; JSON is known as such.
    pub fn clean(&self, text: &str) -> Clean {
        if is_short_word(text) {
            return Clean { text: text.to_owned(), taken: 0 };
        }
        let trimmed = text.trim_start();
        if trimmed.starts_with(['{', '['])
            && let Ok(mut value) = serde_json::from_str::<Value>(text)
        {
            let taken = self.value(&mut value);
            // What has no secret stays as it was written.
            let text = if taken == 0 {
                text.to_owned()
            } else {
                serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
            };
            return Clean { text, taken };
        }
        let (text, by_shape) = self.shapes.take(text);
        let (text, by_name) = self.lines.take(&text, &self.names);
        let (text, opaque) = self.shapes.take_opaque(&text);
        Clean { text, taken: by_shape + by_name + opaque }
    }

    /// A record of ours that is torn or damaged, in which a file with nothing but a secret in it is
    /// not told by structure: from its content on all goes.
    pub fn clean_torn(&self, record: &str) -> Clean {
        const PATH: &str = "\"path\":\"";
        const CONTENT: &str = "\"content\":";
        let content = record.match_indices(PATH).find_map(|(at, _)| {
            let rest = record.get(at + PATH.len()..)?;
            let is_secret = rest.split('"').next().is_some_and(|path| !self.names.knows_file(path));
            rest.find(CONTENT)
                .filter(|_| is_secret)
                .map(|content| at + PATH.len() + content + CONTENT.len())
        });
        match content.and_then(|content| record.get(..content)) {
            None => self.clean(record),
            Some(before) => {
                let Clean { text, taken } = self.clean(before);
                Clean { text: text + REDACTED, taken: taken + 1 }
            }
        }
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
            Value::Array(list) => self.list(list),
            Value::Object(object) => self.object(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    /// A list, which may be a command line: then the word before a word may tell that it is a
    /// secret.
    fn list(&self, list: &mut [Value]) -> usize {
        let words: Vec<String> =
            list.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
        let is_option = |word: &String| word.starts_with('-') && !word.contains('=');
        let follows_its_option = |index: usize| {
            let before = words.get(index.saturating_sub(3)..index).unwrap_or_default();
            let may = before.last().is_some_and(is_option)
                || before.iter().any(|word| word == "addauth" || word == "digest");
            let may = may || words.get(index).is_some_and(is_option);
            let word = words
                .get(index)
                .filter(|word| may && !word.is_empty())
                .map(|word| Value::from(word.as_str()).to_string());
            word.is_some_and(|word| {
                !self.shapes.take(&format!("{} {word}", before.join(" "))).0.ends_with(&word)
            })
        };
        let secrets: Vec<bool> = (0..list.len()).map(follows_its_option).collect();
        list.iter_mut()
            .zip(secrets)
            .map(|(value, is_secret)| if is_secret { take(value) } else { self.value(value) })
            .sum()
    }

    /// An object: its values by their names, and its names, which may be addresses with passwords.
    fn object(&self, object: &mut Map<String, Value>) -> usize {
        let word = |names: &[&str]| -> String {
            names
                .iter()
                .find_map(|name| object.get(*name).and_then(Value::as_str))
                .unwrap_or_default()
                .to_owned()
        };
        let (path, name) = (word(&["path"]), word(&["name", "Name", "key", "Key"]));
        let is_digest = word(&["scheme"]) == "digest";
        let is_unknown = !path.is_empty() && !self.names.knows_file(&path);
        let mut taken = 0;
        let mut clean = Map::new();
        let mut copies: HashMap<String, usize> = HashMap::new();
        for (key, mut value) in std::mem::take(object) {
            // A file in a record of ours, a variable as docker and Marathon list them, and whom an
            // ACL of ZooKeeper names.
            let by_another = (key == "content" || key == "before") && self.is_secret_file(&path)
                || key == "content" && is_unknown && value.is_string()
                // Content that is no text, which no rule can judge.
                || key == "hex"
                || key.eq_ignore_ascii_case("value") && self.is_secret_name(&name)
                || key == "id" && is_digest && value.is_string();
            if key == "before" && is_unknown {
                taken += take_content(&mut value);
            }
            taken += if by_another || self.is_secret_name(&key) {
                take(&mut value)
            } else {
                self.value(&mut value)
            };
            let Clean { text, taken: in_name } = self.clean(&key);
            taken += in_name;
            let wanted = if in_name > 0 { text } else { key };
            let mut name = wanted.clone();
            // Names that differed only in their secrets get a number; the last number is kept, so
            // that many such names are not compared with each other.
            while clean.contains_key(&name) {
                let copy = copies.entry(wanted.clone()).or_insert(1);
                *copy += 1;
                name = format!("{wanted} ({copy})");
            }
            clean.insert(name, value);
        }
        *object = clean;
        taken
    }
}

/// Whether a text is one word without marks, too short for a secret that is known by its shape:
/// most texts in JSON, of which there may be a million.
fn is_short_word(text: &str) -> bool {
    text.len() < SHORTEST_SHAPE
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Takes what a file held that a record describes.
fn take_content(value: &mut Value) -> usize {
    match value {
        Value::Object(object) => object
            .iter_mut()
            .map(|(key, value)| if key == "content" { take(value) } else { take_content(value) })
            .sum(),
        _ => 0,
    }
}

/// Takes a whole value, whatever it is; what says only whether there is a secret stays.
fn take(value: &mut Value) -> usize {
    if matches!(value, Value::Null | Value::Bool(_)) || value.as_str().is_some_and(says_nothing) {
        return 0;
    }
    *value = Value::from(REDACTED);
    1
}

#[cfg(test)]
mod tests;
