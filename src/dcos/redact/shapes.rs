//! Secrets that are known by what they look like, or by what stands before them on a command line
//! or in a sentence.

use regex::{Captures, Regex};

use super::keys::KeyEnds;
use super::names::NAMES;
use super::rule::{Instead, REDACTED, VALUE, bare, compile, group, is_mixed};
use super::tools;

/// The same in a list or an object.
const ITEM: &str = r#""(?:[^"\\]|\\.)*"|\\+"[^"]*"|'[^']*'|[^\s",}\]]+"#;
/// What stands between the words of a command line, on one line or more, or in a list.
const BETWEEN: &str = r#"(?:\s|\\\r?\n)+|\\*["'],?\s*|,\s+"#;
/// What a word of a command line begins after.
const BEGIN: &str = r#"(?:^|[\s"'`\[({,;=:|&>])"#;
/// A word in quotes.
const QUOTED: &str = r#"[bu]?(?:\\*"[^"\r\n]+"|'[^'\r\n]+')"#;
/// What stands between two fields of an object, on one line or more, also in a log, and with the
/// permissions of an ACL.
const FIELDS: &str = r#"["'\\]*(?:[\s,;]|\d{4}-[^\s|]+ [^\s|]+ \| )+(?:["'\\]*perms["'\\]*\s*[:=]\s*\w+[\s,;]+)?["'\\]*"#;

/// Words after "the password is" that are none.
const NO_PASSWORDS: [&str; 40] = [
    "a",
    "absent",
    "already",
    "an",
    "being",
    "blank",
    "correct",
    "denied",
    "empty",
    "expired",
    "for",
    "from",
    "given",
    "in",
    "incorrect",
    "invalid",
    "malformed",
    "missing",
    "needed",
    "never",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "of",
    "only",
    "provided",
    "read",
    "rejected",
    "required",
    "set",
    "still",
    "stored",
    "the",
    "too",
    "undefined",
    "unknown",
    "unset",
    "wrong",
];

/// In a text at most so many shapes are replaced, and one more for each so many bytes. One with
/// more is not a text that somebody wrote, and its rest is redacted.
const MOST_FOUND: usize = 500;
const BYTES_OF_FOUND: usize = 48;
/// What is longer is redacted as a whole, without a look for its parts.
const MAX_PARTS: usize = 1024;

/// One shape.
#[derive(Debug)]
struct Shape {
    /// Finds it, with the automaton only.
    whole: Regex,
    /// Finds its groups in what was found. The names of secrets are no part of it, because a rule
    /// that has them is many times slower.
    parts: Regex,
    instead: Instead,
}

impl Shape {
    fn new(pattern: &str, instead: Instead) -> Result<Shape, regex::Error> {
        let (flags, rest) = match pattern.strip_prefix("(?i)") {
            Some(rest) => ("(?i)", rest),
            None => ("", pattern),
        };
        let rest = rest.replace(&format!("(?:{NAMES})"), r"[\w. -]+?");
        Ok(Shape {
            whole: compile(pattern)?,
            parts: compile(&format!(r"{flags}^(?:{rest})$"))?,
            instead,
        })
    }

    /// Returns the text without this shape and how often it was there, if it was.
    fn take(&self, text: &str, budget: &mut usize) -> Option<(String, usize)> {
        let mut found = self.whole.find_iter(text).peekable();
        // Most shapes are in no text, and what has none is not copied.
        found.peek()?;
        let (mut clean, mut taken, mut rest) = (String::with_capacity(text.len()), 0, 0);
        for found in found {
            clean.push_str(text.get(rest..found.start()).unwrap_or_default());
            rest = found.end();
            // What is no secret after all does not count: a usual log has many of those.
            match self.instead(found.as_str()).filter(|instead| instead != found.as_str()) {
                Some(_) if *budget == 0 => {
                    clean.push_str(REDACTED);
                    return Some((clean, taken + 1));
                }
                Some(instead) => {
                    *budget -= 1;
                    taken += 1;
                    clean.push_str(&instead);
                }
                None => clean.push_str(found.as_str()),
            }
        }
        clean.push_str(text.get(rest..).unwrap_or_default());
        Some((clean, taken))
    }

    /// Returns what comes in the place of what was found; nothing if it is no secret after all.
    fn instead(&self, found: &str) -> Option<String> {
        if let Instead::Text(text) = self.instead
            && !text.contains('$')
        {
            return Some(text.to_owned());
        }
        let parts = Some(found).filter(|found| found.len() <= MAX_PARTS);
        let Some(parts) = parts.and_then(|found| self.parts.captures(found)) else {
            return Some(REDACTED.to_owned());
        };
        match self.instead {
            Instead::Text(text) => {
                let mut instead = String::new();
                parts.expand(text, &mut instead);
                Some(instead)
            }
            Instead::Judged(judge) => judge(&parts),
        }
    }
}

/// All shapes, made once for many texts.
#[derive(Debug)]
pub(super) struct Shapes {
    key: Regex,
    key_ends: KeyEnds,
    shapes: Vec<Shape>,
    opaque: Regex,
    /// Ids of Mesos: agents, frameworks, operations; with the bars of other ids in one path they
    /// would look like chance.
    id: Regex,
}

impl Shapes {
    pub(super) fn new() -> Result<Shapes, regex::Error> {
        use Instead::{Judged, Text};
        const AFTER: &str = "${1}[redacted]";
        let shapes = [
            // A password may hold an @, a slash and a quote although it should not.
            (r#"([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>]*@"#.into(), Text("${1}[redacted]@")),
            (r#"([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>/@:\[]+:[^\s"]*@"#.into(), Text("${1}[redacted]@")),
            (r#"(^|[\s"'=(,])([^\s"'/:@=(,]+:(?:[^\s"@/]|/[^\s"@/])[^\s"@]*)@([A-Za-z0-9\[][A-Za-z0-9]*:?)"#.into(), Judged(login)),
            (r#"(?i)\b(bearer)\s+[^\s"',]+"#.into(), Text("${1} [redacted]")),
            // In base64 there is a capital or a digit; in "basic authentication" there is none.
            (r"(?i)\b(basic)\s+(?-i:[a-z+/._~-]*[A-Z0-9=][A-Za-z0-9+/=._~-]*)".into(), Text("${1} [redacted]")),
            (r"(?i)(authorization[^\S\r\n]*[:=])[^\r\n]+".into(), Text("${1} [redacted]")),
            (r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?".into(), Text(REDACTED)),
            // crypt(5), and the forms of passlib, which DC/OS Enterprise takes its superuser's hash
            // in.
            (
                r#"\\?\$(?:1|2[abxy]?|5|6|7|y|gy|md5|apr1|sha1|argon2[a-z]*|pbkdf2[a-z0-9-]*|scrypt)\\?\$[^\s"',;]{8,}"#.into(),
                Text(REDACTED),
            ),
            // Keys that carry the name of who gave them.
            (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b".into(), Text(REDACTED)),
            (
                r"\b(?:AIza[\w-]{30,}|gh[opsur]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{10,}|dckr_pat_[\w-]{10,}|hv[bs]\.[\w-]{20,})".into(),
                Text(REDACTED),
            ),
            (r"(\bhooks\.slack\.com/services/)[\w/-]+".into(), Text(AFTER)),
            (
                r#"(?i)([?&;](?:code|[\w.-]*(?:sig|token|key|secret|pass|pwd|auth|cred|jwt|session|assertion)[\w.-]*)=)[^&\s"'#]+"#.into(),
                Text(AFTER),
            ),
            (format!(r"(?i)({BEGIN}--?[\w.-]*(?:{NAMES})[\w.-]*(?:=|{BETWEEN}))({VALUE})"), Judged(option)),
            (format!(r"({BEGIN}(?:-[uU]|--(?:proxy-)?user(?:name|pwd)?=))({VALUE})"), Judged(user)),
            (format!(r"({BEGIN}(?:-[uU]|--(?:proxy-)?user(?:name|pwd)?)(?:{BETWEEN}))({VALUE})"), Judged(user)),
            (format!(r"(\b(?:sshpass\s|(?:docker|podman)\s+login\b[^\r\n|;]*?\s)\s*-p\s*)(?:{VALUE})"), Text(AFTER)),
            (format!(r"(\b(?:mysql|mariadb)\w*\b[^\r\n|;]*?[\s\x22\x27]-p)(?:{VALUE})"), Text(AFTER)),
            (format!(r"(\bredis-cli\b[^\r\n|;]*?\s-a\s+)(?:{VALUE})"), Text(AFTER)),
            (
                format!(
                    r"(\b(?:ldap\w+\b[^\r\n|;]*?\s-w|ssh-keygen\b[^\r\n|;]*?\s-[NP]|openssl\b[^\r\n|;]*?\s-k|(?:un)?zip\b[^\r\n|;]*?\s-P|mysqladmin\b[^\r\n|;]*?\spassword)\s+)(?:{VALUE})"
                ),
                Text(AFTER),
            ),
            (format!(r"(\bsecrets\s+(?:create|update)\b[^\r\n|;]*?\s(?:-v\s*|--value[=\s]))(?:{VALUE})"), Text(AFTER)),
            (format!(r"(\b(?:passwd|chpasswd|kinit|login|sudo)\b[^\r\n|;<]*<<<\s*)(?:{VALUE})"), Text(AFTER)),
            (r"(\bhtpasswd\s+[^\r\n|;]*?-\w*b\w*\s+)[^\r\n|;&]+".into(), Text("${1}[redacted] ")),
            (format!(r"(?i)(\bconfig(?:ure)?\s+set\s+[\w.-]*(?:{NAMES})[\w.-]*\s+)(?:{VALUE})"), Text(AFTER)),
            // What is piped into a program that reads a password there.
            (
                r"(\b(?:echo|printf)\s+)[^\r\n|]+(\|[^\r\n|]*(?:\bchpasswd\b|--(?:password-)?stdin\b))".into(),
                Text("${1}[redacted] ${2}"),
            ),
            (r"(?i)(\blogin\s+\S+\s+password\s+)\S+".into(), Text(AFTER)),
            (format!(r"(?i)(\bmachine\s+\S+\s+(?:account\s+\S+\s+)?password\s+)({VALUE})"), Judged(sentence)),
            // What ZooKeeper knows a client by.
            (format!(r#"(?i)(\baddauth["']?[\s,]+["']?\w+["']?[\s,]+)(?:{VALUE})"#), Text(AFTER)),
            (format!(r#"(?i)(\bscheme["'\\]*\s*[:=]\s*["'\\]*digest{FIELDS}\bid["'\\]*\s*[:=]\s*)({ITEM})"#), Judged(option)),
            (format!(r#"(?i)(\bid["'\\]*\s*[:=]\s*)(?:{ITEM})({FIELDS}scheme["'\\]*\s*[:=]\s*["'\\]*digest\b)"#), Text("${1}[redacted]${2}")),
            (r#"(?i)(\bdigest\\*["']?(?:\s+|[:,]\s*)\(?(?:[bu]?\\*["'])?)([^\s"':,\\]+[:,][^\s"']+)"#.into(), Judged(digest)),
            (r#"(\bDigestLoginModule\s+\w+)(?:\s+[\w.]+\s*=\s*(?:"[^"]*"|[^\s;"]+))+"#.into(), Text("${1} [redacted]")),
            (
                format!(
                    r"(?i)(\b(?:password|passwd|passphrase|passcode|secret|token|api[ _-]?key|pwd?)\s+(?:(?:for|of)\s+[^\s:=]+\s*)?(?:(?:(?:is|was)(?:\s+(?:(?:re)?set|changed)\s+to)?|(?:(?:re)?set|changed)\s+to)\b\s*:?|:=|[:=])\s*)({VALUE})"
                ),
                Judged(sentence),
            ),
            (format!(r"(?i)(\b(?:password|passwd|passphrase|passcode|identified\s+by)\s+)(?:{QUOTED})"), Text(AFTER)),
            (format!(r"(?i)((?:\b\w+\s+)?\b(?:secret|token|api[ _-]?key|pwd)\s+)({QUOTED})"), Judged(quoted)),
            (
                format!(r"(?i)((?:\b(?:and|using|with)|,)\s+(?:the\s+)?(?:password|passwd|passphrase|passcode|secret|token)\s+)({VALUE})"),
                Judged(mixed),
            ),
            (r#"(?i)(\bcredentials?\s+(?:(?:are|is)\s+)?\\*["']?)[^\s"':/,]+:[^\s"'/][^\s"']*"#.into(), Text(AFTER)),
            // Calls, with a user or a name before the secret.
            (
                format!(
                    r#"(?i)(\b(?:\w*credentials?|\w*basic_?auth|\w*password_?authentication|make_digest_acl\w*)\(\s*(?:\w+\s*=\s*)?(?:{QUOTED}|[^\s"',()]+)\s*,\s*(?:\w+\s*=\s*)?)({ITEM})"#
                ),
                Judged(argument),
            ),
            (format!(r"(?i)(\b(?:set_?|with_?)?(?:password|passwd|passphrase|secret|token|api_?key)\(\s*)(?:{QUOTED})"), Text(AFTER)),
            (format!(r#"(?i)(\(\s*[bu]?\\*["'][\w.-]*(?:{NAMES})[\w.-]*\\*["']\s*,\s*)({QUOTED})"#), Judged(option)),
            // Erlang's, of which dcos-net is made.
            (format!(r#"(?i)(\{{\s*(?:<<)?["'\\]*[\w.-]*(?:{NAMES})[\w.-]*["'\\]*(?:>>)?\s*,\s*(?:<<)?)({ITEM})"#), Judged(option)),
            // A variable as docker, Marathon and Hadoop list them.
            (
                format!(
                    r#"(?i)(\b(?:name|key)["'\\]*\s*[:=]\s*["'\\]*[\w.-]*(?:{NAMES})[\w.-]*["'\\]*[\s,]+["'\\]*value["'\\]*[^\S\n]*[:=][^\S\n]*)(?:{ITEM})"#
                ),
                Text(AFTER),
            ),
            (
                format!(r#"(?i)(\bvalue["'\\]*\s*[:=]\s*)(?:{ITEM})([\s,]+["'\\]*(?:name|key)["'\\]*\s*[:=]\s*["'\\]*[\w.-]*(?:{NAMES}))"#),
                Text("${1}[redacted]${2}"),
            ),
            (format!(r"(?i)(<name>\s*[\w.-]*(?:{NAMES})[\w.-]*\s*</name>\s*<value>)[^<]+"), Text(AFTER)),
            (format!(r#"(?i)(<\w+\s+(?:key|name)="[\w.-]*(?:{NAMES})[\w.-]*"\s*>)[^<]+(</)"#), Text("${1}[redacted]${2}")),
            (format!(r"(?i)(<[\w.-]*(?:{NAMES})[\w.-]*(?:\s[^<>]*)?>)[^<>]+(</)"), Text("${1}[redacted]${2}")),
        ];
        Ok(Shapes {
            // A key goes even if its end is cut off; where its beginning is, see `KeyEnds`.
            key: compile(
                r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)",
            )?,
            key_ends: KeyEnds::new()?,
            shapes: shapes
                .into_iter()
                .chain(tools::shapes())
                .map(|(pattern, instead)| Shape::new(&pattern, instead))
                .collect::<Result<_, regex::Error>>()?,
            opaque: compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")?,
            id: compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-[SO]?\d+)?")?,
        })
    }

    /// The text without them, and how many there were.
    pub(super) fn take(&self, text: &str) -> (String, usize) {
        let mut taken = 0;
        let clean = self.key.replace_all(text, |_: &Captures<'_>| {
            taken += 1;
            REDACTED
        });
        let (mut clean, ends) = self.key_ends.take(&clean);
        taken += ends;
        let mut budget = MOST_FOUND + text.len() / BYTES_OF_FOUND;
        for shape in &self.shapes {
            if let Some((text, more)) = shape.take(&clean, &mut budget) {
                (clean, taken) = (text, taken + more);
            }
        }
        (clean, taken)
    }

    /// The text without long words that look like chance, and how many there were.
    pub(super) fn take_opaque(&self, text: &str) -> (String, usize) {
        let mut taken = 0;
        let clean = self.opaque.replace_all(text, |found: &Captures<'_>| {
            let word = group(found, 0);
            if !is_chance(&self.id.replace_all(word, "")) {
                return word.to_owned();
            }
            taken += 1;
            REDACTED.to_owned()
        });
        (clean.into_owned(), taken)
    }
}

/// What says only whether there is something, or where the next word stands that was redacted
/// already.
pub(super) fn says_nothing(value: &str) -> bool {
    matches!(bare(value), "" | "true" | "false" | "null" | "~" | REDACTED)
}

/// `NAME:PASSWORD@HOST`, which the names of images with their digests look like.
fn login(found: &Captures<'_>) -> Option<String> {
    let host = group(found, 3);
    (!host.starts_with("sha") || !host.ends_with(':'))
        .then(|| format!("{}{REDACTED}@{host}", group(found, 1)))
}

/// The value of an option, if it is none itself.
fn option(found: &Captures<'_>) -> Option<String> {
    let (before, value) = (group(found, 1), group(found, 2));
    let is_option = value.trim_start_matches(['\\', '"', '\'']).starts_with("--")
        || value.len() == 2 && value.starts_with('-');
    let reads_it = before.trim_end().ends_with("-stdin");
    (!says_nothing(value) && (before.ends_with('=') || !is_option && !reads_it))
        .then(|| format!("{before}{REDACTED}"))
}

/// What a call is given, with the parenthesis behind it.
fn argument(found: &Captures<'_>) -> Option<String> {
    let (before, value) = (group(found, 1), group(found, 2).trim_end_matches([')', ';']));
    (!says_nothing(value) && value != "None").then(|| format!("{before}{REDACTED}"))
}

/// `USER:PASSWORD`, which the numbers of a user and a group look like.
fn user(found: &Captures<'_>) -> Option<String> {
    let value = bare(group(found, 2)).trim_start_matches('=');
    let (user, password) = value.split_once([':', '%'])?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_other = user.starts_with('-') || is_number(user) && is_number(password);
    (!is_other).then(|| format!("{}{REDACTED}", group(found, 1)))
}

/// `digest:USER:PASSWORD`, and not the digest of an image, nor the moment that the next line of a
/// log begins with.
fn digest(found: &Captures<'_>) -> Option<String> {
    let value = group(found, 2).to_ascii_lowercase();
    let is_moment = value.as_bytes().get(4) == Some(&b'-')
        && value.bytes().take(4).all(|byte| byte.is_ascii_digit());
    (!value.starts_with("sha") && !value.starts_with("md5") && !is_moment)
        .then(|| format!("{}{REDACTED}", group(found, 1)))
}

/// The password that a sentence tells; what opens a text of more lines (`b"""`, `<<EOF`) is none,
/// and goes with its lines.
fn sentence(found: &Captures<'_>) -> Option<String> {
    let value = group(found, 2);
    let is_head =
        |text: &str| text.chars().all(|letter| letter.is_alphanumeric() || "-_~'".contains(letter));
    let behind_its_kind = value.trim_start_matches(['b', 'f', 'r', 'u']);
    let opens = value.len() < 3 && behind_its_kind.is_empty()
        || behind_its_kind.starts_with("'''")
        || value.strip_prefix("<<").is_some_and(is_head);
    (!says_nothing(value) && !is_no_password(value) && !opens)
        .then(|| format!("{}{REDACTED}", group(found, 1)))
}

/// A secret or token in quotes, which may as well be a place, or what a parser did not expect.
fn quoted(found: &Captures<'_>) -> Option<String> {
    const OF_PARSERS: [&str; 5] = ["expected", "illegal", "near", "unexpected", "unrecognized"];
    let (before, value) = (group(found, 1), bare(group(found, 2)));
    let word_before = before.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let is_other = OF_PARSERS.contains(&word_before.as_str())
        || value.starts_with('/')
        || !value.contains(char::is_alphanumeric);
    (!is_other && !says_nothing(value)).then(|| format!("{before}{REDACTED}"))
}

/// A password that a sentence has in passing, if it is no word.
fn mixed(found: &Captures<'_>) -> Option<String> {
    is_mixed(group(found, 2)).then(|| format!("{}{REDACTED}", group(found, 1)))
}

/// A word that sentences have after "password".
pub(super) fn is_no_password(value: &str) -> bool {
    let word =
        bare(value).trim_end_matches(['.', ',', ';', '!', ')', '\'', '"']).to_ascii_lowercase();
    NO_PASSWORDS.contains(&word.as_str())
}

/// Whether a long word looks like chance. Ids and digests have no capitals; paths have few words in
/// which capitals, small letters and digits are mixed.
fn is_chance(word: &str) -> bool {
    let has = |text: &str, is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
    let is_mixed =
        |text: &str| has(text, char::is_ascii_uppercase) && has(text, char::is_ascii_lowercase);
    if word.len() < 40 || !is_mixed(word) || !has(word, char::is_ascii_digit) {
        return false;
    }
    let is_like_a_path = word.starts_with('/') || word.matches('/').count() >= 3;
    let digits_inside = |run: &str| {
        run.split(|letter: char| !letter.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .count()
    };
    let runs = word.split(|letter: char| !letter.is_ascii_alphanumeric());
    let inside: usize = runs
        .map(|run| run.trim_end_matches(|l: char| l.is_ascii_digit()))
        .filter(|run| is_mixed(run))
        .map(digits_inside)
        .sum();
    !is_like_a_path || inside >= 2
}
