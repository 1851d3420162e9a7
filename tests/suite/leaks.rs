//! Which secrets a bundle does not recognise: those of a list, and no others.

use std::fs;
use std::path::PathBuf;

use dcos_node::dcos::redact::Redactor;

/// Stands in every text of the list in place of a secret.
const SECRET: &str = "Gr33nT1";

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// Each text is taken alone, as the message of a log, and between the lines of a file.
#[test]
fn these_and_only_these_secrets_leak() {
    let (list, docs) = (file("fixtures/leaks.txt"), file("docs/bundle.md"));
    let told = docs.split("Not recognised").nth(1).and_then(|rest| rest.split("\nThe time").next());
    let told = told.expect("the list of what is not recognised");
    let told: String = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let redactor = Redactor::new().expect("rules");
    let mut wrong = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let [state, words, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {line}");
        };
        let text = text.replace("\\n", "\n");
        assert!(text.contains(SECRET), "no secret: {line}");
        let log: String =
            text.lines().map(|line| format!("2026-11-22T16:03:59Z cat | {line}\n")).collect();
        let forms = [text.clone(), log, format!("first: 1\n{text}\nlast: 1\n")];
        let leaks = forms.iter().any(|form| redactor.clean(form).text.contains(SECRET));
        match (state, leaks) {
            ("gone", false) => {}
            ("leaks", true) if told.contains(words) => {}
            ("leaks", true) => wrong.push(format!("not in docs/bundle.md ({words}): {line}")),
            ("gone", true) => wrong.push(format!("leaks: {line}")),
            ("leaks", false) => wrong.push(format!("does not leak any more: {line}")),
            _ => wrong.push(format!("unknown state: {line}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
