//! Texts that are recorded in the checkout, and compared with what the program has now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::checkout;

/// Whether `DCOS_NODE_BLESS` asks to record anew.
pub fn is_blessing() -> bool {
    std::env::var_os("DCOS_NODE_BLESS").is_some()
}

/// Compares a text with the file that records it, a path in the checkout, or records it.
#[track_caller]
pub fn is_recorded(file: impl AsRef<Path>, text: &str) {
    let path = checkout().join(&file);
    if is_blessing() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("make it");
        fs::write(&path, text).expect("record the text");
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    let file = file.as_ref().display();
    assert!(recorded == text, "{file} has another text (make bless); this is it now:\n{text}");
}

/// The same for a directory that has these files only, by their names.
#[track_caller]
pub fn are_recorded(directory: impl AsRef<Path>, texts: &BTreeMap<String, String>) {
    let path = checkout().join(&directory);
    let names = || -> Vec<String> {
        let files = fs::read_dir(&path).into_iter().flatten();
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into()).collect()
    };
    let extra = || names().into_iter().filter(|name| !texts.contains_key(name));
    if is_blessing() {
        extra().for_each(|name| fs::remove_file(path.join(name)).expect("remove"));
    }
    texts.iter().for_each(|(name, text)| is_recorded(directory.as_ref().join(name), text));
    let extra: Vec<String> = extra().collect();
    let directory = directory.as_ref().display();
    assert!(extra.is_empty(), "{directory}/ has files that nothing writes (make bless): {extra:?}");
}
