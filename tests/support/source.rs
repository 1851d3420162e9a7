//! The sources of a crate as words: what is code, what is a text, which path names what. For the
//! rules of the house.
//!
//! It knows as little of Rust as it can: comments, literals and everything under `#[cfg(test)]` are
//! told from code, and paths are made absolute with the file's own `use` declarations. Macros are
//! read as they are written.

mod lexer;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub use lexer::{group_length, lines_of_unbreakable_literals};
use lexer::{tokens, without_tests};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word,
    /// A punctuation mark; `::` is one.
    Sign,
    /// The inside of a string literal, escapes as they are written.
    Text,
    /// A number, character or lifetime.
    Other,
}

/// A piece of code.
#[derive(Clone, Debug)]
pub struct Token {
    /// Where it begins, from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// As it is written, a string literal without its quotes.
    pub text: String,
}

impl Token {
    /// Whether it is this punctuation mark.
    pub fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// Whether it is this identifier or keyword.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

/// A path in the code: `a::b::c`, or one leaf of a `use` declaration.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where it stands.
    pub line: usize,
    /// Its segments.
    pub segments: Vec<String>,
    /// The name that a `use` gives it here.
    pub imported_as: Option<String>,
    /// `pub use`: handed on, not used here.
    pub handed_on: bool,
}

/// One source file without its tests.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to `src`, for example `system/files.rs`.
    pub path: String,
    /// How many lines it has, tests included.
    pub lines: usize,
    /// Its code.
    pub tokens: Vec<Token>,
    /// Its path as a module: `system::files`, empty for the crate's root.
    pub module: Vec<String>,
    /// The modules that it declares in files of their own.
    pub children: BTreeSet<String>,
    /// Every path in it.
    pub named: Vec<Named>,
}

/// All files of a crate that are compiled without `cfg(test)`.
#[derive(Clone, Debug)]
pub struct Sources {
    /// In the order of their paths.
    pub files: Vec<File>,
}

impl Sources {
    /// Reads a directory of sources.
    pub fn read(directory: &Path) -> Sources {
        let mut found = Vec::new();
        collect(directory, directory, &mut found);
        Sources::of(found.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// Made of paths and texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Sources {
        let mut files = Vec::new();
        let mut only_for_tests = BTreeSet::new();
        for (path, text) in texts {
            let module = module_of(path);
            let (tokens, test_modules) = without_tests(tokens(text));
            only_for_tests.extend(test_modules.into_iter().map(|name| below(&module, &name)));
            let children = tokens
                .windows(3)
                .filter(|w| w[0].is_word("mod") && w[2].is(";"))
                .map(|w| w[1].text.clone())
                .collect();
            let named = named(&tokens);
            files.push(File {
                path: path.to_owned(),
                lines: text.lines().count(),
                tokens,
                module,
                children,
                named,
            });
        }
        files.retain(|file| {
            !(1..=file.module.len()).any(|length| only_for_tests.contains(&file.module[..length]))
        });
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Sources { files }
    }

    /// The file that a path of the crate leads to, by its index: re-exports are followed to where
    /// the thing is made.
    pub fn target(&self, segments: &[String]) -> Option<usize> {
        self.follow(segments, 0)
    }

    fn follow(&self, segments: &[String], depth: usize) -> Option<usize> {
        let (krate, rest) = segments.split_first()?;
        if krate != "crate" || depth > 8 {
            return None;
        }
        let length =
            (0..=rest.len()).rev().find(|length| self.module(&rest[..*length]).is_some())?;
        let index = self.module(&rest[..length])?;
        if let Some(name) = rest.get(length)
            && let Some(handed) = self.files[index]
                .named
                .iter()
                .find(|n| n.handed_on && n.imported_as.as_ref() == Some(name))
        {
            return self
                .follow(&self.files[index].absolute(&handed.segments), depth + 1)
                .or(Some(index));
        }
        Some(index)
    }

    fn module(&self, module: &[String]) -> Option<usize> {
        self.files.iter().position(|file| file.module == module && file.path != "main.rs")
    }
}

impl File {
    /// The first part of its path: the room, or the file itself on the top floor.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// A path made absolute: `crate::...` for our own things, else beginning with the name of a
    /// crate, as far as the file tells.
    pub fn absolute(&self, segments: &[String]) -> Vec<String> {
        self.resolve(segments, 0)
    }

    fn resolve(&self, segments: &[String], depth: usize) -> Vec<String> {
        let Some((first, rest)) = segments.split_first() else { return Vec::new() };
        let ours =
            |module: &[String], rest: &[String]| [&["crate".to_owned()], module, rest].concat();
        match first.as_str() {
            // The binary sees the library as a crate of its own.
            "crate" | "dcos_node" => ours(&[], rest),
            "self" => ours(&self.module, rest),
            "super" => {
                let ups = segments.iter().take_while(|s| *s == "super").count();
                let module = &self.module[..self.module.len().saturating_sub(ups)];
                ours(module, &segments[ups..])
            }
            name if self.children.contains(name) => ours(&self.module, segments),
            name => {
                let import = self
                    .named
                    .iter()
                    .find(|n| n.imported_as.as_deref() == Some(name) && n.segments[0] != name);
                match import.filter(|_| depth < 8) {
                    Some(import) => {
                        [self.resolve(&import.segments, depth + 1).as_slice(), rest].concat()
                    }
                    None => segments.to_vec(),
                }
            }
        }
    }
}

fn collect(directory: &Path, top: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            collect(&path, top, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is readable text");
            let relative =
                path.strip_prefix(top).expect("it is below the directory").display().to_string();
            found.push((relative, text));
        }
    }
}

fn module_of(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || stem == "lib" {
        module.pop();
    }
    module
}

fn below(module: &[String], name: &str) -> Vec<String> {
    [module, &[name.to_owned()]].concat()
}

/// All paths: the leaves of `use` declarations, and `a::b` elsewhere.
fn named(tokens: &[Token]) -> Vec<Named> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let token = &tokens[at];
        // `use<'a>` is a bound of a type.
        if token.is_word("use") && !tokens.get(at + 1).is_some_and(|t| t.is("<")) {
            let handed_on = at > 0 && (tokens[at - 1].is_word("pub") || tokens[at - 1].is(")"));
            let end = at + tokens[at..].iter().position(|t| t.is(";")).unwrap_or(tokens.len() - at);
            leaves(&tokens[at + 1..end], &[], handed_on, &mut found);
            at = end;
        } else if token.kind == Kind::Word && tokens.get(at + 1).is_some_and(|t| t.is("::")) {
            let mut segments = vec![token.text.clone()];
            let line = token.line;
            at += 1;
            while tokens.get(at).is_some_and(|t| t.is("::"))
                && tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Word)
            {
                segments.push(tokens[at + 1].text.clone());
                at += 2;
            }
            found.push(Named { line, segments, imported_as: None, handed_on: false });
        } else {
            at += 1;
        }
    }
    found
}

/// The leaves of one tree of a `use` declaration: `a::{b, c::d as e, self}`.
fn leaves(tree: &[Token], above: &[String], handed_on: bool, found: &mut Vec<Named>) {
    let (mut segments, mut at) = (above.to_vec(), 0);
    let Some(line) = tree.first().map(|t| t.line) else { return };
    let mut alias = None;
    while let Some(token) = tree.get(at) {
        match token.kind {
            Kind::Sign if token.text == "{" => {
                let inside = &tree[at + 1..at + group_length(&tree[at..]) - 1];
                for branch in branches(inside) {
                    leaves(branch, &segments, handed_on, found);
                }
                return;
            }
            Kind::Word if token.text == "as" => {
                alias = tree.get(at + 1).map(|t| t.text.clone());
                at += 1;
            }
            Kind::Word if token.text == "self" && !segments.is_empty() => {}
            Kind::Word => segments.push(token.text.clone()),
            _ => {}
        }
        at += 1;
    }
    if !segments.is_empty() {
        let imported_as = alias.or_else(|| segments.last().cloned());
        found.push(Named { line, segments, imported_as, handed_on });
    }
}

/// The parts between commas, groups kept whole.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        if tokens[at].is(",") {
            parts.push(&tokens[start..at]);
            start = at + 1;
        }
        at += group_length(&tokens[at..]).max(1);
    }
    parts.push(&tokens[start..]);
    parts
}

/// Circles among numbered things, each as the way round: every group in which each reaches each,
/// once.
pub fn circles(edges: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for start in edges.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        found.extend(way_back(edges, *start));
    }
    found
}

/// The shortest way from a thing back to itself.
fn way_back(edges: &BTreeMap<usize, BTreeSet<usize>>, start: usize) -> Option<Vec<usize>> {
    let mut queue = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = queue.pop_front() {
        for next in edges.get(way.last()?).into_iter().flatten() {
            if *next == start {
                return Some(way);
            }
            if seen.insert(*next) {
                queue.push_back([way.as_slice(), &[*next]].concat());
            }
        }
    }
    None
}
