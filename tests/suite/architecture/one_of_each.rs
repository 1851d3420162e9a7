//! What the crate has once: a function of the standard library or a path that only its wrapper may
//! name.

use super::{File, Kind, Sources, at, finds, holds, is_in, src};

/// A word of the code, and the files that may have it.
const ONCE: [(&str, &[&str]); 1] = [("symlink_metadata", &["system/files/stat"])];

fn once(sources: &Sources) -> Vec<String> {
    let second = |file: &File| -> Vec<String> {
        let words = file.tokens.iter().filter(|token| token.kind == Kind::Word);
        words
            .flat_map(|token| ONCE.iter().map(move |row| (token, row)))
            .filter(|(token, (word, places))| {
                token.text == *word && !places.iter().any(|place| is_in(file, place))
            })
            .map(|(token, (word, places))| {
                at(file, token.line, &format!("{word} outside {}", places.join(", ")))
            })
            .collect()
    };
    sources.files.iter().flat_map(second).collect()
}

#[test]
fn wrappers_are_the_only_users_of_what_they_wrap() {
    holds(&once(&src()));
}

#[test]
fn second_user_of_a_wrapped_function_is_found() {
    let planted = Sources::of([
        ("system/files/stat.rs", "fn a() { fs::symlink_metadata(p); }\n"),
        ("system/survey.rs", "// symlink_metadata\nfn a() { std::fs::symlink_metadata(p); }\n"),
    ]);
    finds(&once(&planted), &["system/survey.rs:2: symlink_metadata"]);
}
