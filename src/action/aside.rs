//! Sets something aside under another name in its directory, and puts it back.

use std::path::Path;

use super::Site;
use crate::dcos::receipt::Object;
use crate::system::files;

pub(crate) fn objects(site: &Site, path: &Path, aside: &Path) -> Vec<Object> {
    let is_there = [path, aside].iter().any(|p| files::exists(&site.root.at(p)));
    if is_there {
        vec![Object::Aside { path: path.to_owned(), aside: aside.to_owned() }]
    } else {
        Vec::new()
    }
}

/// One rename. What is aside already stays there: then a first run came so far, and what stands at
/// the path is newer.
pub(crate) fn set(site: &Site, path: &Path, aside: &Path) -> anyhow::Result<()> {
    rename(site, path, aside)
}

/// The rename back, unless something took its place.
pub(crate) fn put_back(site: &Site, path: &Path, aside: &Path) -> anyhow::Result<()> {
    rename(site, aside, path)
}

fn rename(site: &Site, from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (site.root.at(from), site.root.at(to));
    if files::exists(&from) && !files::exists(&to) {
        files::rename(&from, &to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::capacity::Capacity;
    use crate::dcos::event::Events;
    use crate::dcos::fetching::Fetching;
    use crate::system::cancellation::Cancellation;
    use crate::system::root::Root;

    #[test]
    fn set_aside_file_can_be_restored_twice() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site {
            root: Root::new(directory.path()),
            systemd: None,
            patience: std::time::Duration::ZERO,
            source: None,
            capacity: Capacity::new(&Fetching::default()),
            privileged: false,
            events: Events::unheard(),
            cancellation: Cancellation::default(),
        };
        let (path, aside) = (Path::new("/ip"), Path::new("/ip.2026"));
        let has = |text: &str, at: &Path| {
            site.root.read(at, 10).unwrap().as_deref() == Some(text.as_bytes())
        };
        assert!(objects(&site, path, aside).is_empty());
        files::place(&site.root.at(path), b"old", 0o644, None).unwrap();
        for _ in 0..2 {
            assert_eq!(objects(&site, path, aside).len(), 1);
            set(&site, path, aside).unwrap();
            assert!(has("old", aside) && !files::exists(&site.root.at(path)));
        }
        put_back(&site, path, aside).unwrap();
        assert!(has("old", path));
        set(&site, path, aside).unwrap();
        files::place(&site.root.at(path), b"new", 0o644, None).unwrap();
        set(&site, path, aside).unwrap();
        put_back(&site, path, aside).unwrap();
        assert!(has("new", path) && has("old", aside));
    }
}
