//! Trees are walked by descriptors: whoever exchanges directories for links meanwhile gains
//! nothing, and neither depth nor width stops a walk.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use dcos_node::system::{files, kernel, survey};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::geteuid;
use support::build::Build;
use support::image::{Image, Serve};

/// As deep as `rm -rf` goes, and far beyond the longest path, the stack and all descriptors.
const DEPTH: usize = 100_000;

/// A chain of directories named `d`, with a file of five bytes in the last one.
fn deep(top: &Path, depth: usize) {
    fs::create_dir_all(top).unwrap();
    let mut directory: OwnedFd = File::open(top).unwrap().into();
    for _ in 0..depth {
        mkdirat(&directory, "d", Mode::S_IRWXU).unwrap();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        directory = openat(&directory, "d", flags, Mode::empty()).unwrap();
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    let file = openat(&directory, "file", flags, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    nix::unistd::write(file.as_fd(), b"bytes").unwrap();
}

/// Another user where that is possible; the times of the change of status tell in any case.
fn another_user() -> u32 {
    if geteuid().is_root() { 65_534 } else { geteuid().as_raw() }
}

#[test]
fn deep_tree_is_sized_given_and_removed() {
    let image = Image::new();
    let top = image.at("top");
    deep(&top, DEPTH);
    assert_eq!(survey::size_below(&top, &[]), 5);
    let user = another_user();
    files::give_tree(&top, user).unwrap();
    let owned = survey::owned_below(&top, &[], usize::MAX, &|uid, _| (uid == user).then_some(uid));
    assert_eq!((owned.by[&user].1, owned.stopped), (DEPTH + 2, false));
    files::remove_tree(&top).unwrap();
    assert!(!top.exists());
}

#[test]
fn purge_removes_a_deep_sandbox_with_few_descriptors() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    image.install(serve.url(), &[]).ends(0, &[]);
    deep(&image.at("var/lib/mesos/slave/slaves/S0/sandbox"), DEPTH);
    let purge = "ulimit -n 128; exec \"$0\" uninstall --purge-data --yes --root \"$1\"";
    let output = std::process::Command::new("sh")
        .args(["-c", purge])
        .arg(support::node::binary())
        .arg(image.path())
        .output()
        .unwrap();
    support::image::Said::of(output).ends(0, &[&["done:"]]);
    assert!(!image.has("var/lib/mesos"));
}

#[test]
fn wide_directory_is_sized_given_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().join("top");
    fs::create_dir(&top).unwrap();
    for number in 0..20_000 {
        fs::write(top.join(number.to_string()), "x").unwrap();
    }
    assert_eq!(survey::size_below(&top, &[]), 20_000);
    files::give_tree(&top, another_user()).unwrap();
    files::remove_tree(&top).unwrap();
    assert!(!top.exists());
}

/// What the owner of a tree does while root works in it: a directory and a link to another
/// directory change their names, again and again.
struct Swapper<'a> {
    stop: &'a AtomicBool,
}

impl Drop for Swapper<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// A directory that is no business of the swapper, and what is known of its files.
fn victim(directory: &Path) -> (PathBuf, impl Fn() -> Vec<(u32, i64, i64)>) {
    let victim = directory.join("victim");
    fs::create_dir(&victim).unwrap();
    for number in 0..200 {
        fs::write(victim.join(number.to_string()), "secret").unwrap();
    }
    let path = victim.clone();
    let known = move || {
        (0..200)
            .map(|number| {
                let about = fs::metadata(path.join(number.to_string())).unwrap();
                (about.uid(), about.ctime(), about.ctime_nsec())
            })
            .collect()
    };
    (victim, known)
}

#[test]
fn swapped_directory_gives_no_file_outside() {
    let directory = tempfile::tempdir().unwrap();
    let (victim, known) = victim(directory.path());
    let top = directory.path().join("top");
    fs::create_dir_all(top.join("d")).unwrap();
    symlink(&victim, top.join("link")).unwrap();
    for number in 0..200 {
        fs::write(top.join("d").join(number.to_string()), "").unwrap();
    }
    let stop = AtomicBool::new(false);
    let before = known();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (inside, link) = (top.join("d"), top.join("link"));
            while !stop.load(Ordering::SeqCst) {
                kernel::rename_exchange(nix::fcntl::AT_FDCWD, &inside, nix::fcntl::AT_FDCWD, &link)
                    .unwrap();
            }
        });
        let _stopping = Swapper { stop: &stop };
        // A walk that loses its directory may end with an error; it never leaves the tree.
        for _ in 0..100 {
            let _ = files::give_tree(&top, another_user());
        }
    });
    assert_eq!(known(), before, "a file outside of the tree was touched");
}

#[test]
fn give_below_refuses_a_link_in_place_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (victim, known) = victim(directory.path());
    let top = directory.path().join("top");
    fs::create_dir(&top).unwrap();
    symlink(&victim, top.join("bin")).unwrap();
    let before = known();
    let user = geteuid().as_raw();
    let group = nix::unistd::getegid().as_raw();
    files::give_below(&top, Path::new("bin/1"), user, group, Some(0o777)).unwrap_err();
    files::give_below(&top, Path::new("bin"), user, group, Some(0o777)).unwrap_err();
    // The link itself has an owner, and no mode.
    files::give_below(&top, Path::new("bin"), user, group, None).unwrap();
    assert_eq!(known(), before);
}

#[test]
fn tree_is_given_with_its_set_id_bits() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("top/program");
    fs::create_dir(directory.path().join("top")).unwrap();
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let (user, group) = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
    files::give_tree_keeping_modes(&directory.path().join("top"), user, group).unwrap();
    assert_eq!(fs::metadata(&program).unwrap().mode() & 0o7777, 0o4755);
    files::give_tree_keeping_modes(&directory.path().join("none"), user, group).unwrap();
}
