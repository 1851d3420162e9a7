//! The effort grows with the text only, whatever the text is.

use super::super::below::WORK;
use super::*;

/// Texts that are worst if they are repeated.
const WORST: [&str; 24] = [
    "password ",
    "a=",
    "\"",
    "secret:",
    "secret: ",
    "[[[",
    ": |\n",
    "token.service: ",
    "token.service: token.py: ",
    "token.py:\"",
    "password=x \\\n",
    "password=<<EOF\n",
    "password=\"\"\"\n",
    "password='x\n",
    "? password\n",
    "# ? password\n",
    "#? a \n",
    "name: token\n",
    "name: token\nvalue: x\n",
    "-----BEGIN",
    "-----END PRIVATE KEY-----",
    "- ",
    "token--a.http:",
    "MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3+LQmlQ\n",
];

#[test]
fn effort_of_redaction_is_linear_in_the_text() {
    for word in WORST {
        let effort = |length: usize| {
            WORK.with(|work| work.set(0));
            clean(&word.repeat(length / word.len()));
            WORK.with(std::cell::Cell::get)
        };
        let (once, twice) = (effort(32 << 10), effort(64 << 10));
        assert!(4 * twice <= 9 * once + 4096, "{word:?}: {once} bytes, then {twice}");
        // The most is a value that is no variable: it is looked at up to 200 times.
        assert!(twice <= 250 * (64 << 10), "{word:?}: {twice} bytes");
    }
}

#[test]
fn value_that_never_ends_goes_to_the_end_of_the_text() {
    let text = format!("first: 1\npassword=Secret0 \\\n{}", "Secret1 \\\n".repeat(100));
    let clean = clean(text.trim_end());
    assert!(clean.starts_with("first: 1\n") && !clean.contains("Secret"), "{clean}");
}

#[test]
fn lines_above_the_end_of_a_key_are_redacted() {
    let line = "MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3+LQmlQ";
    for end in ["\n", "\r\n"] {
        let key = format!("{line}{end}").repeat(50);
        let text = format!(
            "first.{end}{key}-----END RSA PRIVATE KEY-----{end}a b.{end}{key}x -----END PRIVATE \
             KEY-----, -----END PRIVATE KEY-----{end}last"
        );
        let clean = clean(&text);
        assert_eq!(clean, format!("first.{end}[redacted]{end}a b.{end}[redacted]{end}last"));
    }
}

#[test]
fn names_that_differ_in_their_secrets_are_numbered() {
    let names = (0..2000).map(|n| format!(r#""http://ann:s3cret{n}@h/": {n}"#));
    let text = format!("{{{}}}", names.collect::<Vec<_>>().join(", "));
    let clean = clean(&text);
    assert!(!clean.contains("s3cret") && clean.contains("@h/ (2000)\": 1999"), "{clean}");
}

#[test]
fn text_of_nothing_but_secrets_is_cut() {
    let text = "(\"password\", \"Secret1\")\n".repeat(10_000);
    let clean = clean(&format!("first: 1\n{text}"));
    assert!(clean.starts_with("first: 1\n") && clean.ends_with(REDACTED), "{clean}");
    assert!(!clean.contains("Secret") && clean.len() < text.len() * 2 / 3, "{}", clean.len());
}

#[test]
fn many_names_without_a_value_read_the_rest_of_the_line_once() {
    WORK.with(|work| work.set(0));
    let text = "token--a.http:".repeat(10_000);
    clean(&text);
    let effort = WORK.with(std::cell::Cell::get);
    assert!(effort <= 4 * text.len(), "{effort} bytes of {}", text.len());
}

/// A log of several MB in which much looks like a secret and is none: users of containers, digests
/// of images, and what was redacted before.
#[test]
fn usual_log_of_several_megabytes_is_not_cut() {
    let line = "run -u 0:0 -u 1:1 -u 2:2 digest: sha256:ab digest: sha256:cd --token [redacted]\n";
    let text = format!("{}last: 1\n", line.repeat((3 << 20) / line.len()));
    let Clean { text: clean, taken } = REDACTOR.clean(&text);
    assert!(clean == text, "{taken} were taken of it, and it ends in {:?}", end_of(&clean));
}

fn end_of(text: &str) -> &str {
    text.get(text.floor_char_boundary(text.len().saturating_sub(200))..).unwrap_or_default()
}
