//! Files are replaced whole, and trees go without what they point to.

use super::*;

#[test]
fn placed_file_has_exact_mode_and_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    place(&path, b"one", 0o666, None).unwrap();
    place(&path, b"two", 0o604, None).unwrap();
    assert_eq!(read(&path, 10).unwrap().unwrap(), b"two");
    assert_eq!(lstat(&path).unwrap().unwrap().mode, 0o604);
    assert_eq!(names(dir.path()).unwrap().unwrap().len(), 1);
    assert!(read(&path, 2).is_err());
}

#[test]
fn removing_a_tree_removes_links_and_not_what_they_point_to() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("keep");
    make_directory(&keep, 0o755).unwrap();
    place(&keep.join("file"), b"x", 0o644, None).unwrap();
    let tree = dir.path().join("tree/a/b");
    assert_eq!(make_directories(&tree, 0o755).unwrap().len(), 3);
    link(&tree.join("out"), &keep).unwrap();
    remove_tree(&dir.path().join("tree")).unwrap();
    remove_tree(&dir.path().join("tree")).unwrap();
    assert!(exists(&keep.join("file")) && !exists(&dir.path().join("tree")));
}

#[test]
fn bind_mount_below_a_tree_stops_its_removal() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, kept) = (dir.path().join("tree"), dir.path().join("kept"));
    for directory in [&tree.join("a"), &tree.join("z"), &kept] {
        make_directories(directory, 0o755).unwrap();
    }
    place(&tree.join("a/file"), b"x", 0o644, None).unwrap();
    place(&kept.join("file"), b"x", 0o644, None).unwrap();
    let flags = nix::mount::MsFlags::MS_BIND;
    if nix::mount::mount(Some(&kept), &tree.join("z"), None::<&str>, flags, None::<&str>).is_err() {
        // It takes root, and a container that lets root mount.
        return;
    }
    let refused = remove_tree(&tree);
    nix::mount::umount(&tree.join("z")).unwrap();
    assert!(refused.unwrap_err().path.ends_with("tree/z"));
    assert!(exists(&tree.join("a/file")) && exists(&kept.join("file")));
    remove_tree(&tree).unwrap();
    assert!(!exists(&tree) && exists(&kept.join("file")));
}

#[test]
fn purge_empties_kept_directories_and_removes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let point = tree.join("a/point");
    for directory in [&point.join("deep"), &tree.join("z")] {
        make_directories(directory, 0o755).unwrap();
    }
    let flags = nix::mount::MsFlags::empty();
    let mounts =
        nix::mount::mount(Some("tmpfs"), &point, Some("tmpfs"), flags, Some("size=64k")).is_ok();
    for file in ["a/point/lost+found", "a/point/x", "z/y"] {
        place(&tree.join(file), b"x", 0o644, None).unwrap();
    }
    let refused = remove_tree(&tree);
    let purged = purge(&tree, std::slice::from_ref(&point));
    let left: Vec<_> = names(&point).unwrap().unwrap();
    if mounts {
        nix::mount::umount(&point).unwrap();
        assert!(refused.unwrap_err().path.ends_with("a/point"));
        assert_eq!(left, ["lost+found"]);
        purged.unwrap();
        assert_eq!((names(&tree).unwrap().unwrap(), exists(&point)), (vec!["a".into()], true));
    }
}

#[test]
fn an_error_names_the_operation_and_the_object() {
    let error = place(Path::new("/nonexistent/x"), b"", 0o644, None).unwrap_err();
    assert_eq!(error.to_string(), "cannot create /nonexistent/.x.dcos-node.tmp");
}
