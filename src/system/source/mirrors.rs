//! One set of files at several places.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Error, Source};

/// The same files at several places, none trusted more than another. Clones share which place is
/// asked first.
#[derive(Debug, Clone)]
pub struct Mirrors {
    places: Arc<Places>,
    first: Arc<AtomicUsize>,
}

/// At least one.
#[derive(Debug)]
struct Places {
    main: Source,
    others: Vec<Source>,
}

impl Mirrors {
    /// One place, and others for when it fails.
    pub fn new(main: Source, others: impl IntoIterator<Item = Source>) -> Self {
        Self {
            places: Arc::new(Places { main, others: others.into_iter().collect() }),
            first: Arc::default(),
        }
    }

    /// The place that is asked first now.
    pub fn first(&self) -> &Source {
        self.places.at(self.index())
    }

    /// All places, the one that is asked first at the beginning.
    pub fn in_order(&self) -> impl Iterator<Item = &Source> {
        let (before, after) =
            (self.places.all().take(self.index()), self.places.all().skip(self.index()));
        after.chain(before)
    }

    /// This place does not answer: from now on the one after it is asked first, unless that has
    /// happened already.
    pub fn pass_over(&self, place: &Source) {
        let first = self.index();
        if std::ptr::eq(self.places.at(first), place) {
            let next = (first + 1) % self.places.count();
            // Whoever else passed it over at the same time meant the same.
            let _ = self.first.compare_exchange(first, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Passes over places at the beginning that do not give `file`; what each of them answered.
    /// With one place nothing is asked.
    pub async fn find(&self, file: &str, limit_bytes: u64) -> Vec<(String, Error)> {
        let mut failed = Vec::new();
        for place in self.in_order().filter(|_| self.places.count() > 1) {
            match place.read(file, limit_bytes).await {
                Ok(_) => break,
                Err(error) => failed.push((place, error)),
            }
        }
        // If none gives it, the first one is to tell why.
        if failed.len() == self.places.count() {
            return Vec::new();
        }
        failed.iter().for_each(|(place, _)| self.pass_over(place));
        failed.into_iter().map(|(place, error)| (place.to_string(), error)).collect()
    }

    fn index(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }
}

impl Places {
    fn all(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.main).chain(&self.others)
    }

    fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// The main one is the first.
    fn at(&self, index: usize) -> &Source {
        self.all().nth(index).unwrap_or(&self.main)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_mirror_is_not_tried_first_again() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("latest"), "x").unwrap();
        let dead = |name: &str| Source::Directory(directory.path().join(name));
        let mirrors = Mirrors::new(
            dead("none"),
            [dead("nothing"), Source::Directory(directory.path().to_owned())],
        );
        let failed = mirrors.clone().find("latest", 1).await;
        assert_eq!(failed.len(), 2);
        assert_eq!(mirrors.first().to_string(), directory.path().to_str().unwrap());
        let order: Vec<String> = mirrors.in_order().map(ToString::to_string).collect();
        assert!(order[1].ends_with("/none") && order[2].ends_with("/nothing"), "{order:?}");
        // None has it: the order stays.
        assert!(mirrors.find("other", 1).await.is_empty());
        assert_eq!(mirrors.first().to_string(), order[0]);
    }
}
