//! The root directory of a node: `/`, or a directory that holds an image of one.

use std::path::{Component, Path, PathBuf};

use super::files::{self, Error};

/// Maps paths as the node sees them to paths on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    directory: PathBuf,
}

/// More links than this on one path are a loop (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;

/// The longest text that is read whole, in bytes.
pub const MAX_TEXT: u64 = 16 << 20;

impl Root {
    /// A root at this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Root {
        Root { directory: directory.into() }
    }

    /// Whether it is the root of the running machine.
    pub fn is_live(&self) -> bool {
        self.directory == Path::new("/")
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a path of the node lies on this machine. Links on the way are followed as the node
    /// would follow them: an absolute link in an image starts at the image's root again, so nothing
    /// outside of it is reached. The last component is not followed.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        if self.is_live() {
            return path.as_ref().to_owned();
        }
        let mut links = 0;
        let parent = path
            .as_ref()
            .parent()
            .map_or_else(|| self.directory.clone(), |parent| self.follow(parent, &mut links));
        path.as_ref().file_name().map_or_else(|| parent.clone(), |name| parent.join(name))
    }

    /// The same with the last component followed too.
    pub fn resolved(&self, path: impl AsRef<Path>) -> PathBuf {
        let mut links = 0;
        self.follow(path.as_ref(), &mut links)
    }

    /// A path of this machine as the node sees it.
    pub fn as_seen(&self, real: &Path) -> PathBuf {
        Path::new("/").join(self.inside(real))
    }

    /// Reads a file whole, links followed below the root; absence is `None`.
    ///
    /// # Errors
    /// Any reason but absence, and a file that is longer than the limit.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        files::read(&self.resolved(path), limit)
    }

    /// Reads a text of at most [`MAX_TEXT`] bytes, as [`Root::read`] does; what is not UTF-8 is
    /// replaced.
    ///
    /// # Errors
    /// As [`Root::read`].
    pub fn text(&self, path: impl AsRef<Path>) -> Result<Option<String>, Error> {
        let bytes = self.read(path, MAX_TEXT)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Lists the names in a directory, sorted; there are none in one that does not exist.
    ///
    /// # Errors
    /// Any reason but absence.
    pub fn names(&self, path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
        let names = files::names(&self.resolved(path))?.unwrap_or_default();
        Ok(names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn follow(&self, path: &Path, links: &mut u32) -> PathBuf {
        let mut here = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir => {
                    here.pop();
                }
                Component::Normal(name) => {
                    let next = here.join(name);
                    match std::fs::read_link(self.directory.join(&next)) {
                        Ok(target) if *links < MOST_LINKS => {
                            *links += 1;
                            let from_here =
                                if target.is_absolute() { target } else { here.join(target) };
                            here = self.inside(&self.follow(&from_here, links));
                        }
                        _ => here = next,
                    }
                }
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        self.directory.join(here)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.directory).unwrap_or(path).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_link_in_an_image_stays_in_the_image() {
        let image = tempfile::tempdir().unwrap();
        let root = Root::new(image.path());
        std::fs::create_dir_all(image.path().join("data/mesosphere")).unwrap();
        std::fs::create_dir_all(image.path().join("opt")).unwrap();
        std::os::unix::fs::symlink("/data/mesosphere", image.path().join("opt/mesosphere"))
            .unwrap();
        std::os::unix::fs::symlink("../../../../..", image.path().join("opt/up")).unwrap();
        std::os::unix::fs::symlink("/opt/loop", image.path().join("opt/loop")).unwrap();
        assert_eq!(root.at("/opt/mesosphere/bin"), image.path().join("data/mesosphere/bin"));
        assert_eq!(root.at("/opt/mesosphere"), image.path().join("opt/mesosphere"));
        assert_eq!(root.resolved("/opt/mesosphere"), image.path().join("data/mesosphere"));
        assert!(root.at("/opt/up/etc/x").starts_with(image.path()));
        assert!(root.at("/opt/loop/x").starts_with(image.path()));
    }
}
