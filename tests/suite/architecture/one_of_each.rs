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

/// What lies below a root is read and listed by `Root`, which follows links as the node would.
fn below_the_root(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources.files.iter().filter(|file| file.room() != "system") {
        for (index, token) in file.tokens.iter().enumerate() {
            let argument = file.tokens.iter().skip(index).map(|token| token.text.as_str());
            let mut argument = argument.take_while(|text| *text != ")").take(12);
            let is_read = argument.next() == Some("files") && argument.any(|text| text == "read");
            if is_read && argument.any(|text| ["resolved", "at"].contains(&text)) {
                complaints.push(at(file, token.line, "use Root::read or Root::text"));
            }
        }
    }
    complaints
}

/// Where the names of D-Bus members are.
const MEMBERS: &str = "system/systemd/interfaces";

/// The name of a D-Bus member is a text in one file, beside the interface that has it.
fn members(sources: &Sources) -> Vec<String> {
    let texts = |file: &File| -> Vec<(usize, String)> {
        let texts = file.tokens.iter().filter(|token| token.kind == Kind::Text);
        texts.map(|token| (token.line, token.text.clone())).collect()
    };
    let (home, others): (Vec<&File>, Vec<&File>) =
        sources.files.iter().partition(|file| is_in(file, MEMBERS));
    let is_member = |text: &String| text.chars().all(|c| c.is_ascii_alphabetic());
    let names: Vec<String> =
        home.into_iter().flat_map(texts).map(|(_, text)| text).filter(is_member).collect();
    others
        .into_iter()
        .filter(|file| is_in(file, "system/systemd"))
        .flat_map(|file| texts(file).into_iter().map(move |text| (file, text)))
        .filter(|(_, (_, text))| names.contains(text))
        .map(|(file, (line, text))| at(file, line, &format!("{text}: use {MEMBERS}")))
        .collect()
}

#[test]
fn members_of_d_bus_are_named_in_one_file() {
    holds(&members(&src()));
}

#[test]
fn second_name_of_a_member_is_found() {
    let planted = Sources::of([
        ("system/systemd/interfaces.rs", "const START_UNIT: &str = \"StartUnit\";\n"),
        ("system/systemd/bus.rs", "fn a() { ask(\"StartUnit\"); ask(\"NoReply\"); }\n"),
        ("system/http.rs", "fn a() { ask(\"StartUnit\"); }\n"),
    ]);
    finds(&members(&planted), &["system/systemd/bus.rs:1: StartUnit"]);
}

#[test]
fn files_below_the_root_have_one_reader() {
    holds(&below_the_root(&src()));
}

#[test]
fn second_reader_below_the_root_is_found() {
    let planted = Sources::of([
        (
            "observe/host.rs",
            "fn a() { files::read(path, 10); root.read(path, 10); }\n\
             fn b() { files::read(&root.resolved(path), 10); }\n",
        ),
        ("command/wait.rs", "fn a() { files::read(&world.root.at(path), 10); }\n"),
    ]);
    finds(&below_the_root(&planted), &["command/wait.rs:1: use", "observe/host.rs:2: use"]);
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
