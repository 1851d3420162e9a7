//! The root directory of a node: `/`, or a directory that holds an image of one.

use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;

use super::files::{self, Error};

/// Maps paths as the node sees them to paths on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    directory: PathBuf,
}

/// More links than this on one path are a loop (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;

/// Links that were followed on the way to a file.
#[derive(Default)]
struct Links {
    followed: u32,
    /// Owners of those that neither root nor this user made.
    others: Vec<u32>,
}

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
        let mut links = Links::default();
        let parent = path
            .as_ref()
            .parent()
            .map_or_else(|| self.directory.clone(), |parent| self.follow(parent, &mut links));
        path.as_ref().file_name().map_or_else(|| parent.clone(), |name| parent.join(name))
    }

    /// The same with the last component followed too.
    pub fn resolved(&self, path: impl AsRef<Path>) -> PathBuf {
        let mut links = Links::default();
        self.follow(path.as_ref(), &mut links)
    }

    /// A path of this machine as the node sees it.
    pub fn as_seen(&self, real: &Path) -> PathBuf {
        Path::new("/").join(self.inside(real))
    }

    /// Reads a file whole, links followed below the root; absence is `None`. It never waits.
    ///
    /// # Errors
    /// Any reason but absence; what is not a file, or is longer than the limit; a link of another
    /// user than root to a file that is not that user's.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let mut links = Links::default();
        let real = self.follow(path.as_ref(), &mut links);
        // What a service account links to must be its own, or root would read for it what it may
        // not read itself.
        files::read_below(&self.directory, &self.inside(&real), limit, &links.others)
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

    /// The first of these paths of the node that is a directory.
    pub fn first_directory(&self, paths: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
        paths.into_iter().find(|path| self.resolved(path).is_dir())
    }

    fn follow(&self, path: &Path, links: &mut Links) -> PathBuf {
        let mut here = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir => {
                    here.pop();
                }
                Component::Normal(name) => {
                    let next = here.join(name);
                    let real = self.directory.join(&next);
                    match std::fs::read_link(&real) {
                        Ok(target) if links.followed < MOST_LINKS => {
                            links.followed += 1;
                            links.others.extend(self.is_of_another(&real));
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

    /// The owner of a link, if that is neither root, nor this user, nor the owner of the root
    /// directory.
    fn is_of_another(&self, link: &Path) -> Option<u32> {
        let owner = |path: &Path| files::lstat(path).ok().flatten().map(|stat| stat.uid);
        owner(link).filter(|uid| {
            ![Some(0), Some(geteuid().as_raw()), owner(&self.directory)].contains(&Some(*uid))
        })
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

    #[test]
    fn link_of_another_user_is_read_only_to_a_file_of_the_same_user() {
        const STRANGER: u32 = 65_534;
        if !geteuid().is_root() {
            // Only root can give a link to another user.
            return;
        }
        let image = tempfile::tempdir().unwrap();
        let root = Root::new(image.path());
        for name in ["secret", "theirs"] {
            std::fs::write(image.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("secret", image.path().join("ip")).unwrap();
        assert_eq!(root.read("/ip", 100).unwrap().unwrap(), b"secret");
        for name in ["ip", "theirs"] {
            let path = image.path().join(name);
            std::os::unix::fs::lchown(path, Some(STRANGER), None).unwrap();
        }
        let error = root.read("/ip", 100).unwrap_err();
        assert!(error.source.to_string().contains("user 65534"), "{error:?}");
        std::fs::remove_file(image.path().join("ip")).unwrap();
        std::os::unix::fs::symlink("theirs", image.path().join("ip")).unwrap();
        std::os::unix::fs::lchown(image.path().join("ip"), Some(STRANGER), None).unwrap();
        assert_eq!(root.read("/ip", 100).unwrap().unwrap(), b"theirs");
        assert_eq!(root.read("/none/ip", 100).unwrap(), None);
    }
}
