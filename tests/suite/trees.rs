//! Trees are walked by descriptors: whoever exchanges directories for links meanwhile gains
//! nothing, and neither depth nor width stops a walk.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use dcos_node::dcos::id::PackageId;
use dcos_node::dcos::layout;
use dcos_node::observe::{classic, packages};
use dcos_node::system::root::Root;
use dcos_node::system::{files, kernel, survey};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::geteuid;
use support::build::Build;
use support::image::{Image, Serve};

/// As deep as `rm -rf` goes, and far beyond the longest path, the stack and all descriptors.
const DEPTH: usize = 100_000;

/// A deep tree. A test that fails removes it too, before the temporary directory that holds it
/// does: that works by recursion, overflows the stack, and hides why the test failed.
struct Deep(PathBuf);

impl Drop for Deep {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.0);
    }
}

/// A chain of directories named `d`, with a file of five bytes in the last one.
#[must_use]
fn deep(top: &Path, depth: usize) -> Deep {
    let tree = Deep(top.to_owned());
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
    tree
}

/// Another user where that is possible; the times of the change of status tell in any case.
fn another_user() -> u32 {
    if geteuid().is_root() { 65_534 } else { geteuid().as_raw() }
}

#[test]
fn deep_tree_is_sized_given_and_removed() {
    let image = Image::new();
    let top = image.at("top");
    let _deep = deep(&top, DEPTH);
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
    let _deep = deep(&image.at("var/lib/mesos/slave/slaves/S0/sandbox"), DEPTH);
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

/// A node with one package that has a deep tree in its `lib`. What is declared last is dropped
/// first: the tree before the image.
fn deep_package() -> (Image, PackageId, Deep) {
    let (image, id) = (Image::new(), "deep--1".parse::<PackageId>().unwrap());
    let top = image.at(layout::package(&id).strip_prefix("/").unwrap());
    let tree = deep(&top.join("lib"), DEPTH);
    fs::write(top.join("lib/file"), "").unwrap();
    fs::write(top.join("pkginfo.json"), "{}").unwrap();
    (image, id, tree)
}

#[test]
fn package_with_a_deep_tree_is_read() {
    let (image, id, _deep) = deep_package();
    let package = packages::packages(&Root::new(image.path()), [&id]).unwrap().remove(0);
    let has = |path: &str| package.members.iter().any(|member| member.path == Path::new(path));
    assert!(has("d") && has("d/d/d") && has("file"));
    // No link leads to what has a longer path than the kernel takes.
    assert!(package.members.len() < 4096 / 2 + 1, "{} members", package.members.len());
}

#[test]
fn manifest_of_a_deep_tree_is_an_error_with_its_path() {
    let (image, id, _deep) = deep_package();
    let error = classic::manifest(&Root::new(image.path()), &id).unwrap_err().to_string();
    assert!(error.contains("deep--1/lib/d/d/d"), "{error}");
    assert!(error.ends_with("is longer than a path may be"), "{error}");
}

#[test]
fn verify_reports_a_deep_tree_in_a_package_once() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    image.install(serve.url(), &[]).ends(0, &[]);
    let id = fs::read_dir(image.at("opt/mesosphere/packages")).unwrap().next().unwrap().unwrap();
    let extra = id.path().join("extra");
    let _deep = deep(&extra.join("__pycache__"), DEPTH);
    image.run(&["verify"]).ends(6, &[&["/extra"]]);
    files::remove_tree(&extra).unwrap();
    image.run(&["verify"]).ends(0, &[&["as installed"]]);
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
                kernel::rename_exchange(&inside, &link).unwrap();
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

/// A directory of this user with this mode, and in it a second name of a file of root.
fn linked_in(user: u32, mode: u32, owner: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (file, top) = (directory.path().join("file"), directory.path().join("top"));
    fs::write(&file, "secret").unwrap();
    fs::create_dir(&top).unwrap();
    fs::hard_link(&file, top.join("linked")).unwrap();
    chown(&file, Some(owner), None).unwrap();
    fs::set_permissions(&top, fs::Permissions::from_mode(mode)).unwrap();
    chown(&top, Some(user), None).unwrap();
    (directory, file)
}

#[test]
fn hard_link_that_a_user_made_to_a_file_of_root_is_not_given() {
    if !support::is_root() {
        return;
    }
    // In a directory of the user, and in one that everybody can write.
    for (user, mode) in [(65_533, 0o755), (0, 0o1777)] {
        let (directory, file) = linked_in(user, mode, 0);
        let error = files::give_tree(&directory.path().join("top"), 65_534).unwrap_err();
        assert!(error.source.to_string().starts_with("it has 2 hard links"), "{error}");
        assert_eq!(fs::metadata(&file).unwrap().uid(), 0, "a file of root was given away");
    }
}

#[test]
fn hard_links_of_root_and_of_the_owner_of_a_tree_are_given() {
    if !support::is_root() {
        return;
    }
    for (user, mode, owner) in [(0, 0o755, 0), (65_533, 0o755, 65_533)] {
        let (directory, file) = linked_in(user, mode, owner);
        files::give_tree(&directory.path().join("top"), 65_534).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().uid(), 65_534);
    }
}

/// What a directory of a package was exchanged for is not read, even where it has the same content.
#[test]
fn verify_follows_no_link_inside_a_package() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let image = Image::new();
    image.install(serve.url(), &[]).ends(0, &[]);
    let id = serve.packed.id("files");
    let package = Path::new("opt/mesosphere/packages").join(id);
    fs::rename(image.at(package.join("lib")), image.at("opt/elsewhere")).unwrap();
    symlink("../../../elsewhere", image.at(package.join("lib"))).unwrap();
    let said = image.run(&["verify", "--json"]);
    said.ends(6, &[]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let kind = |path: &Path| {
        let path = Path::new("/").join(path).display().to_string();
        let differences = told["differences"].as_array().unwrap();
        let found = differences.iter().find(|difference| difference["what"] == path.as_str());
        found.and_then(|difference| difference["kind"].as_str()).map(str::to_owned)
    };
    assert_eq!(kind(&package.join("lib")).as_deref(), Some("changed"), "{told:#}");
    for entry in fs::read_dir(image.at("opt/elsewhere")).unwrap() {
        let path = package.join("lib").join(entry.unwrap().file_name());
        assert_eq!(kind(&path).as_deref(), Some("missing"), "{}: {told:#}", path.display());
    }
}
