//! The fields of structured documents that may leave the node. What a document holds beside them is
//! redacted whatever its name is, because nobody knows what an operator keeps there.

mod names;

use serde_json::Value;

use crate::dcos::redact::REDACTED;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// YAML whose fields are told by its top level; what is below belongs to them.
    Yaml,
}

/// The fields of one document.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    form: Form,
    /// The names, with white space between them.
    names: &'static str,
    /// Of these the fields whose own fields have names that an operator chose.
    maps: &'static [&'static str],
    /// Of these the fields that are taken with all that is below them.
    trees: &'static [&'static str],
}

/// What is left of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its text.
    pub text: String,
    /// How many fields were redacted.
    pub taken: usize,
}

impl Fields {
    const fn json(names: &'static str) -> Fields {
        Fields { form: Form::Json, names, maps: &[], trees: &[] }
    }

    /// Returns the fields of the document with this name in a bundle; none if it is not a
    /// structured document, or is one of ours.
    pub fn of(part: &str) -> Option<Fields> {
        let all: &[(&str, Fields)] = &[
            (
                "machine/docker-daemon.json",
                Fields { maps: &["default-ulimits", "runtimes"], ..Fields::json(names::DOCKER) },
            ),
            ("etc/dcos-check-config.json", CHECKS),
            ("etc/dcos-check-runner.yaml", Fields { form: Form::Yaml, ..CHECKS }),
            ("etc/dcos-diagnostics-config.json", Fields::json(names::DIAGNOSTICS)),
            (
                "etc/dcos-service-configuration.json",
                Fields { trees: &["sysctl"], ..Fields::json("sysctl") },
            ),
            ("etc/dcos-version.json", Fields::json(names::VERSION)),
            (
                "etc/expanded.config.json",
                Fields { trees: TREES, ..Fields::json(names::PARAMETERS) },
            ),
            ("etc/mesos-dns.json", Fields::json(names::MESOS_DNS)),
            ("etc/mesos-executor-environment.json", Fields::json(names::EXECUTOR)),
            ("etc/ui-config.json", Fields::json(names::UI)),
            (
                "etc/user.config.yaml",
                Fields { form: Form::Yaml, ..Fields::json(names::PARAMETERS) },
            ),
        ];
        all.iter().find(|(name, _)| *name == part).map(|(_, fields)| *fields)
    }

    /// Redacts every other field.
    ///
    /// # Errors
    /// The document cannot be read, so that its fields are unknown.
    pub fn keep(&self, text: &str) -> Result<Kept, serde_json::Error> {
        // JSON is YAML too.
        if self.form == Form::Json || text.trim_start().starts_with(['{', '[']) {
            let mut value = serde_json::from_str(text)?;
            let taken = self.value(&mut value);
            let text = match taken {
                0 => text.to_owned(),
                _ => serde_json::to_string_pretty(&value).unwrap_or_default() + "\n",
            };
            return Ok(Kept { text, taken });
        }
        Ok(self.lines(text))
    }

    fn has(&self, name: &str) -> bool {
        self.names.split_whitespace().any(|known| known == name)
    }

    fn value(&self, value: &mut Value) -> usize {
        match value {
            Value::Array(list) => list.iter_mut().map(|item| self.value(item)).sum(),
            Value::Object(object) => {
                object.iter_mut().map(|(name, value)| self.field(name, value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn field(&self, name: &str, value: &mut Value) -> usize {
        if !self.has(name) {
            return take(value);
        }
        if self.trees.contains(&name) {
            return 0;
        }
        match value {
            Value::Object(object) if self.maps.contains(&name) => object
                .values_mut()
                .map(|value| if value.is_object() { self.value(value) } else { take(value) })
                .sum(),
            value => self.value(value),
        }
    }

    /// The lines of YAML: a field begins at the left edge, and what is not a field there is
    /// redacted too.
    fn lines(&self, text: &str) -> Kept {
        let (mut kept, mut taken, mut keeps) = (String::with_capacity(text.len()), 0, false);
        for line in text.lines() {
            let is_below = line.trim().is_empty() || line.starts_with([' ', '\t', '-']);
            if line == "---" {
                keeps = true;
            } else if !is_below {
                keeps = name(line).is_some_and(|name| self.has(name));
                if !keeps {
                    taken += 1;
                    let name = name(line).map(|name| format!("{name}: ")).unwrap_or_default();
                    kept.push_str(&format!("{name}{REDACTED}\n"));
                }
            }
            if keeps {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        Kept { text: kept, taken }
    }
}

const CHECKS: Fields = Fields { maps: &["checks"], ..Fields::json(names::CHECKS) };
/// Parameters of DC/OS whose value is a document of another program, as text or as it is.
const TREES: &[&str] = &["check_config", "custom_checks", "dcos_overlay_network", "weights"];

/// Returns the name of the field that begins on this line.
fn name(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(':')?;
    let is_value = rest.is_empty() || rest.starts_with(char::is_whitespace);
    let name = name.trim_end();
    let bare =
        ['"', '\''].into_iter().find_map(|quote| name.strip_prefix(quote)?.strip_suffix(quote));
    let name = bare.unwrap_or(name);
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    (is_value && is_name).then_some(name)
}

/// Redacts a value; what says only whether there is one stays.
fn take(value: &mut Value) -> usize {
    let is_empty = value.as_str().is_some_and(str::is_empty);
    if matches!(value, Value::Null | Value::Bool(_)) || is_empty {
        return 0;
    }
    *value = Value::from(REDACTED);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(part: &str, text: &str) -> String {
        Fields::of(part).unwrap().keep(text).unwrap().text
    }

    #[test]
    fn fields_of_json_that_are_not_listed_are_redacted() {
        let kept = keep(
            "machine/docker-daemon.json",
            r#"{"log-level": "warn", "bip": "10.1.0.1/16", "x": "hidden1",
                "log-opts": {"max-size": "1m", "splunk-thing": "hidden2"},
                "runtimes": {"kata": {"path": "/usr/bin/kata", "y": 4711}, "z": "hidden3"},
                "default-address-pools": [{"base": "10.2.0.0/16", "zz": ["hidden4"]}]}"#,
        );
        for stays in ["warn", "10.1.0.1/16", "1m", "/usr/bin/kata", "10.2.0.0/16", "splunk-thing"] {
            assert!(kept.contains(stays), "{stays} is gone from {kept}");
        }
        assert!(!kept.contains("hidden") && !kept.contains("4711"), "{kept}");
    }

    #[test]
    fn document_of_listed_fields_is_unchanged() {
        for (part, text) in [
            ("etc/dcos-version.json", r#"{"version":"1.12.3", "dcos-variant": "open"}"#),
            (
                "etc/dcos-check-config.json",
                r#"{"node_checks": {"checks": {"a": {"cmd": ["x", "-y"], "timeout": "1s"}}}}"#,
            ),
            ("etc/dcos-check-runner.yaml", "role: agent  # both\nsystemd-socket: true\n"),
            (
                "etc/user.config.yaml",
                "---\n\"master_list\": |-\n  [\"10.0.0.1\"]\nresolvers:\n- 8.8.8.8\n",
            ),
        ] {
            assert_eq!(keep(part, text), text);
        }
    }

    #[test]
    fn fields_of_yaml_that_are_not_listed_are_redacted() {
        let kept = keep(
            "etc/user.config.yaml",
            "cluster_name: one\n# hidden1\nmine: hidden2\n  hidden3\n\n- hidden4\n\
             'dns_search': example.com\n? hidden5\n: hidden6\nnot a field, hidden7\n\
             rexray_config:\n  storage:\n    who: hidden8\nos_type: coreos\n",
        );
        assert!(!kept.contains("hidden"), "{kept}");
        for stays in ["cluster_name: one\n", "mine: [redacted]\n", "'dns_search': example.com\n"] {
            assert!(kept.contains(stays), "{stays} is gone from {kept}");
        }
        assert!(kept.ends_with("rexray_config: [redacted]\nos_type: coreos\n"), "{kept}");
    }

    #[test]
    fn document_that_cannot_be_read_is_refused() {
        let daemon = Fields::of("machine/docker-daemon.json").unwrap();
        let error = daemon.keep("{\"mine\": \"hidden\" x}").unwrap_err().to_string();
        assert!(!error.contains("hidden") && error.contains("line 1"), "{error}");
        assert!(Fields::of("machine/hosts").is_none());
    }
}
