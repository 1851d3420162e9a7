//! Files that documents name, and documents that the README leads to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::document;

/// Every name of ours in the sources of these files: literals that hold `dcos-node`, `dcos-build`
/// or `dcos-publish` and lead somewhere.
fn our_names(files: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
            .expect("a source");
        let lines = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim_start().starts_with("//"));
        let literals = lines.flat_map(|line| {
            line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        });
        let is_ours = |text: &String| {
            ["dcos-node", "dcos-build", "dcos-publish"].iter().any(|name| text.contains(name))
                && !text.contains([' ', '{'])
        };
        names.extend(literals.filter(is_ours));
    }
    names
}

#[test]
fn every_own_file_is_documented_with_its_schema() {
    let text = std::fs::read_to_string(document("files.md")).expect("docs/files.md");
    let names = our_names(&[
        "src/dcos/layout.rs",
        "src/dcos/index.rs",
        "src/command/publish.rs",
        "src/system/files.rs",
    ]);
    assert!(names.len() > 6, "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !text.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/files.md lacks {missing:?}");
    use dcos_node::dcos::{index, journal, receipt};
    for (name, schema) in [
        ("journal", journal::SCHEMA),
        ("receipt.json", receipt::SCHEMA),
        ("dcos-build.json", index::SCHEMA),
    ] {
        let row = text.lines().find(|line| {
            line.starts_with("| `")
                && line.split('`').nth(1).is_some_and(|path| path.ends_with(name))
        });
        assert!(
            row.is_some_and(|row| row.contains(&format!("schema {schema}"))),
            "{name}: {row:?}"
        );
    }
}

/// Every document of ours: those at the top, and those in `docs/`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("docs"))
        .expect("docs/")
        .map(|file| file.expect("a file").path());
    let documents =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let at_the_top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    documents.chain(at_the_top).collect()
}

#[test]
fn files_named_in_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut named, mut missing) = (0, Vec::new());
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        let words =
            text.split('`').skip(1).step_by(2).filter(|word| !word.contains([' ', '*', '\n']));
        let is_ours = |word: &&str| {
            (word.ends_with(".rs") || word.ends_with('/'))
                && ["src/", "tests/", "docs/", "fixtures/", "fuzz/"]
                    .iter()
                    .any(|top| word.starts_with(top))
                || word.ends_with(".rs") && word.contains('/')
        };
        let sources = words.filter(is_ours).map(|word| {
            (word.to_owned(), root.join(word).exists() || root.join("src").join(word).exists())
        });
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(link, _)| link.split('#').next().unwrap_or(link));
        let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
        let links = links
            .map(|link| (link.to_owned(), path.parent().expect("a directory").join(link).exists()));
        for (name, is_there) in sources.chain(links) {
            named += 1;
            if !is_there {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(named > 60, "only {named} names were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn readme_links_lead_to_every_document() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("README.md");
    for path in documents()
        .iter()
        .filter(|path| path.parent().is_some_and(|directory| directory.ends_with("docs")))
    {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            readme.contains(&format!("(docs/{name})")),
            "README.md does not lead to docs/{name}"
        );
    }
}
