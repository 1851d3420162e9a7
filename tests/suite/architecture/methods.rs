//! Methods count as imports: an inherent method that a higher module gives to a lower type would
//! let lower code call upward without a `use` that a rule could see.

use support::source::{File, Kind, Sources, Token, group_length};

use super::{at, finds, holds, src};

/// The head of an `impl` block.
struct Head<'a> {
    line: usize,
    /// The tokens of the trait, with its arguments; none for inherent methods.
    of_trait: Option<&'a [Token]>,
    /// The path of the type.
    of_type: Vec<String>,
}

/// Every `impl` block of a file. `impl Trait` as a type is no block.
fn heads(file: &File) -> impl Iterator<Item = Head<'_>> {
    let tokens = &file.tokens;
    let starts = move |index: usize| {
        let before = index.checked_sub(1).and_then(|i| tokens.get(i));
        let is_item = before.is_none_or(|t| {
            ["}", ";", "]", "{"].iter().any(|sign| t.is(sign)) || t.is_word("unsafe")
        });
        tokens[index].is_word("impl") && is_item
    };
    (0..tokens.len()).filter(move |index| starts(*index)).filter_map(|index| {
        let rest = &tokens[index + 1..];
        let end = rest.iter().position(|t| t.is("{") || t.is_word("where"))?;
        let head = without_generics(&rest[..end]);
        let split = head.iter().position(|t| t.is_word("for"));
        let (of_trait, of_type) = match split {
            Some(split) => (Some(&head[..split]), &head[split + 1..]),
            None => (None, head),
        };
        Some(Head { line: tokens[index].line, of_trait, of_type: path(of_type) })
    })
}

/// Leaves out the generics that an `impl` declares: `impl<T: A<B>> C<T>`.
fn without_generics(head: &[Token]) -> &[Token] {
    if !head.first().is_some_and(|t| t.is("<")) {
        return head;
    }
    let mut depth = 0_usize;
    for (index, token) in head.iter().enumerate() {
        let is_arrow = index > 0 && head[index - 1].is("-");
        match token.text.as_str() {
            "<" if token.kind == Kind::Sign => depth += 1,
            ">" if token.kind == Kind::Sign && !is_arrow => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &head[index + 1..];
        }
    }
    head
}

/// The first path of some tokens: that of a type without its references and arguments.
fn path(tokens: &[Token]) -> Vec<String> {
    let is_name = |t: &&Token| t.kind == Kind::Word && !t.is_word("dyn") && !t.is_word("mut");
    let Some(start) = tokens.iter().position(|t| is_name(&t)) else { return Vec::new() };
    let rest = &tokens[start..];
    let length = rest
        .chunks(2)
        .take_while(|pair| pair[0].kind == Kind::Word && pair.get(1).is_some_and(|t| t.is("::")))
        .count();
    rest.iter().step_by(2).take(length + 1).map(|t| t.text.clone()).collect()
}

/// Whether a file declares a type or trait of this name.
fn declares(file: &File, name: &str) -> bool {
    let kinds = ["struct", "enum", "union", "trait"];
    file.tokens.windows(2).any(|w| kinds.iter().any(|kind| w[0].is_word(kind)) && w[1].text == name)
}

/// What an alias of a file stands for: `type A = b::C;`.
fn alias(file: &File, name: &str) -> Option<Vec<String>> {
    let at = file.tokens.windows(2).position(|w| w[0].is_word("type") && w[1].text == name)?;
    let rest = &file.tokens[at + 2..];
    let equals = rest.iter().position(|t| t.is("="))?;
    Some(path(&rest[equals + 1..]))
}

/// The file where a type is declared, as far as the sources tell; none for one of another crate.
fn home<'a>(sources: &'a Sources, file: &'a File, segments: &[String]) -> Option<&'a File> {
    let name = segments.last()?;
    if let ([_], Some(aliased)) = (segments, alias(file, name)) {
        return home(sources, file, &aliased);
    }
    if segments.len() == 1 && declares(file, name) {
        return Some(file);
    }
    let absolute = file.absolute(segments);
    match sources.target(&absolute) {
        Some(target) => {
            let target = &sources.files[target];
            let last = absolute.last()?;
            // A type behind a second alias.
            match alias(target, last).filter(|_| !declares(target, last)) {
                Some(aliased) => home(sources, target, &aliased),
                None => Some(target),
            }
        }
        // A glob import hides where a type is from: any file that declares it may be meant.
        None if absolute.len() == 1 => sources.files.iter().find(|other| declares(other, name)),
        None => None,
    }
}

/// Whether a file is the other one, or belongs to its module.
fn belongs_to(file: &File, other: &File) -> bool {
    file.module.starts_with(&other.module) && (file.path == other.path || !other.module.is_empty())
}

/// Inherent methods are in the file of their type or below it. A trait of another crate, or of a
/// lower room, is implemented for a type only there too, unless a type of the implementing room is
/// among its arguments (`From<Typed> for Request`): nobody below could name that.
fn methods(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        for head in heads(file) {
            let Some(home) = home(sources, file, &head.of_type) else { continue };
            let name = head.of_type.join("::");
            match head.of_trait {
                None if !belongs_to(file, home) => complaints.push(at(
                    file,
                    head.line,
                    &format!("methods of {name} belong into src/{}", home.path),
                )),
                Some(of_trait)
                    if file.room() != home.room() && !names_own(sources, file, of_trait) =>
                {
                    complaints.push(at(
                        file,
                        head.line,
                        &format!("traits of {name} are implemented in src/{}", home.path),
                    ));
                }
                _ => {}
            }
        }
    }
    complaints
}

/// Whether a trait or one of its arguments is of the room of this file.
fn names_own(sources: &Sources, file: &File, of_trait: &[Token]) -> bool {
    let mut at = 0;
    while at < of_trait.len() {
        let segments = path(&of_trait[at..]);
        let is_own = !segments.is_empty()
            && home(sources, file, &segments).is_some_and(|home| home.room() == file.room());
        if is_own {
            return true;
        }
        at += group_length(&of_trait[at..]).max(1);
    }
    false
}

#[test]
fn methods_are_where_their_type_is() {
    holds(&methods(&src()));
}

#[test]
fn a_method_of_a_lower_type_is_found() {
    let planted = Sources::of([
        ("dcos/object.rs", "pub struct Object;\nimpl Object { fn kind(&self) {} }\n"),
        ("dcos/object/text.rs", "use super::Object;\nimpl Object { fn text(&self) {} }\n"),
        ("dcos/mod.rs", "pub mod object;\npub use object::Object as Handed;\n"),
        ("dcos/journal.rs", "use super::object::*;\nimpl Object { fn same_place(&self) {} }\n"),
        (
            "action/mod.rs",
            "use crate::dcos::object::Object;\n\
             fn a(x: impl Fn(u8)) -> impl Iterator { b() }\n\
             impl<T: Into<Vec<T>>> Object where T: Copy { fn words(&self) {} }\n\
             impl std::fmt::Display for Object { }\n",
        ),
        (
            "command/wait.rs",
            "use crate::dcos::Handed;\n\
             type Mine = Handed;\n\
             pub trait Waits {}\n\
             pub struct Wish;\n\
             impl Mine { }\n\
             impl Waits for Handed { }\n\
             impl From<Wish> for &'static crate::dcos::object::Object { }\n\
             impl Drop for Wish { }\n\
             impl Iterator for Vec<Handed> { }\n",
        ),
    ]);
    let expected = [
        "action/mod.rs:3: methods of Object belong into src/dcos/object.rs",
        "action/mod.rs:4: traits of Object are implemented in src/dcos/object.rs",
        "command/wait.rs:5: methods of Mine belong into src/dcos/object.rs",
        "dcos/journal.rs:2: methods of Object belong into src/dcos/object.rs",
    ];
    finds(&methods(&planted), &expected);
}
