//! Judges the order of effects: what the journal says is done must be on disk by then, and nothing
//! gets its final name before its content is.
//!
//! A file system keeps no order of its own between a rename and what was written before it. So a
//! file, or everything below a directory, is synced before it is renamed, and the directory with
//! the new name before the next `done` or `undone` of the journal. `/etc`, `/opt` and `/var` count
//! as file systems of their own.

use std::collections::BTreeSet;

use support::faults::{Event, Point};

/// What waits for the disk.
#[derive(Default)]
struct Waiting {
    /// Files and directories whose content or attributes have changed.
    content: BTreeSet<String>,
    /// Directories in which a name came, went or changed.
    names: BTreeSet<String>,
    wrong: Vec<String>,
}

/// Everything in a run that is out of order, one line each.
pub fn violations(events: &[Event]) -> Vec<String> {
    let mut waiting = Waiting::default();
    for event in events {
        match event {
            Event::Effect(point) => waiting.effect(point),
            Event::Told(text)
                if [r#""record":"done""#, r#""record":"undone""#]
                    .iter()
                    .any(|word| text.contains(word)) =>
            {
                for path in waiting.content.iter().chain(&waiting.names) {
                    waiting.wrong.push(format!("{path} is not on disk at {text}"));
                }
                waiting.content.clear();
                waiting.names.clear();
            }
            Event::Told(_) => {}
        }
    }
    waiting.wrong
}

impl Waiting {
    fn effect(&mut self, Point { effect, object, .. }: &Point) {
        // The journal is not renamed but added to, and the lock is not meant to last.
        if object.ends_with("/var/lib/dcos-node/journal")
            || object.contains("{lock}")
            || object.ends_with("/run/dcos-node.lock")
        {
            return;
        }
        // Members of an archive are named as in it: they lie below what is renamed next, which is
        // in the store in `/var`.
        let path = if object.starts_with('{') {
            object.clone()
        } else {
            format!("{{root}}/var/(member)/{object}")
        };
        match effect.as_str() {
            "Write" | "Attributes" => drop(self.content.insert(path)),
            "Open" | "Link" | "Directory" => drop(self.names.insert(parent(&path))),
            "Remove" => {
                self.forget(&path);
                self.names.insert(parent(&path));
            }
            "Sync" => {
                self.content.remove(&path);
                self.names.remove(&path);
            }
            "SyncFileSystem" => {
                let top = top(&path);
                self.content.retain(|other| self::top(other) != top);
                self.names.retain(|other| self::top(other) != top);
            }
            "Rename" => self.rename(object),
            _ => {}
        }
    }

    fn rename(&mut self, names: &str) {
        let (from, to) = names
            .split_once(" -> ")
            .or_else(|| names.split_once(" <-> "))
            .expect("a rename has two names");
        for path in self.content.iter().chain(&self.names) {
            if is_at_or_below(path, from) || path.contains("/(member)") {
                self.wrong.push(format!("{path} is not on disk when {from} is renamed"));
            }
        }
        self.forget(from);
        self.names.extend([parent(from), parent(to)]);
    }

    fn forget(&mut self, path: &str) {
        self.content.retain(|other| !is_at_or_below(other, path));
        self.names.retain(|other| !is_at_or_below(other, path));
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())
}

/// `{root}/etc` of everything in it.
fn top(path: &str) -> &str {
    path.match_indices('/').nth(1).map_or(path, |(at, _)| path.split_at(at).0)
}

mod tests {
    use super::super::point::events;
    use super::*;

    fn judged(lines: &[&str]) -> Vec<String> {
        violations(&events(&lines.join("\n"), "/image".as_ref()))
    }

    const DONE: &str = r#"# {"record":"done","key":"a"}"#;
    const GOOD: [&str; 7] = [
        "Open /image/etc/.a.tmp",
        "Write /image/etc/.a.tmp",
        "Attributes /image/etc/.a.tmp",
        "Sync /image/etc/.a.tmp",
        "Rename /image/etc/.a.tmp -> /image/etc/a",
        "Sync /image/etc",
        DONE,
    ];

    #[test]
    fn sequence_without_one_sync_is_found() {
        assert_eq!(judged(&GOOD), Vec::<String>::new());
        let without = |at: usize| judged(&[&GOOD[..at], &GOOD[at + 1..]].concat());
        assert_eq!(
            without(3),
            ["{root}/etc/.a.tmp is not on disk when {root}/etc/.a.tmp is renamed"]
        );
        assert_eq!(without(5), [r#"{root}/etc is not on disk at {"record":"done","key":"a"}"#]);
    }

    #[test]
    fn unpacked_package_needs_a_sync_of_its_file_system() {
        let rename = "Rename /image/var/p/.x -> /image/var/p/x";
        let of = |sync: &str| {
            judged(&["Open bin/sh", "Write bin/sh", sync, rename, "Sync /image/var/p", DONE])
        };
        assert_eq!(of("SyncFileSystem /image/var/p/.x"), Vec::<String>::new());
        let wrong =
            "{root}/var/(member)/bin/sh is not on disk when {root}/var/p/.x is renamed".to_owned();
        assert!(of("SyncFileSystem /image/opt").contains(&wrong));
        assert!(of("Sync /image/var/p/.x").contains(&wrong));
    }

    #[test]
    fn removal_needs_a_sync_of_the_directory_only() {
        let removed = ["Write /image/etc/d/a", "Remove /image/etc/d/a", "Remove /image/etc/d"];
        assert_eq!(
            judged(&[&removed[..], &["Sync /image/etc", DONE]].concat()),
            Vec::<String>::new()
        );
        assert_eq!(judged(&[&removed[..], &[DONE]].concat()).len(), 1);
    }
}
