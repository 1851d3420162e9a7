#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make their own files"
)]

use std::fs::{self, File};

use nix::fcntl::AT_FDCWD;

use super::*;

#[test]
fn exchange_swaps_two_names_and_keeps_symlinks() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "one").unwrap();
    std::os::unix::fs::symlink("elsewhere", root.path().join("b")).unwrap();
    let directory = File::open(root.path()).unwrap();
    rename_exchange(&directory, Path::new("a"), AT_FDCWD, &root.path().join("b")).unwrap();
    assert_eq!(fs::read_link(root.path().join("a")).unwrap(), Path::new("elsewhere"));
    assert_eq!(fs::read_to_string(root.path().join("b")).unwrap(), "one");
}

#[test]
fn kernel_errors_are_returned_unchanged() {
    let root = tempfile::tempdir().unwrap();
    let directory = File::open(root.path()).unwrap();
    fs::write(root.path().join("a"), "").unwrap();
    fs::write(root.path().join("b"), "").unwrap();
    let number = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    let (a, b, none) = (Path::new("a"), Path::new("b"), Path::new("none"));
    assert_eq!(number(rename_noreplace(&directory, a, &directory, b)), Some(libc::EEXIST));
    assert_eq!(number(rename_exchange(&directory, a, &directory, none)), Some(libc::ENOENT));
    assert_eq!(
        number(rename_exchange(&directory, a, &directory, Path::new("nul\0"))),
        Some(libc::EINVAL)
    );
    rename_noreplace(&directory, a, &directory, none).unwrap();
    assert!(root.path().join("none").exists());
}

#[test]
fn the_clock_can_be_read() {
    let reading = clock_state().unwrap();
    assert!((0..=TIME_ERROR).contains(&reading.state), "{reading:?}");
    assert!(reading.maxerror_us >= 0, "{reading:?}");
}

#[test]
fn other_file_system_is_distinguished_from_xfs_without_ftype() {
    let error = xfs_has_file_types(File::open("/proc").unwrap()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
}

#[test]
fn a_file_system_can_be_synced() {
    sync_filesystem(tempfile::tempfile().unwrap()).unwrap();
}

#[test]
fn inode_flags_can_be_read_and_set() {
    const NO_DUMP: u32 = 0x40; // needs no capability, unlike IMMUTABLE
    let file = tempfile::tempfile_in("/var/tmp").unwrap();
    let before = match inode_flags(&file) {
        Ok(flags) => flags,
        Err(error) => {
            // tmpfs before Linux 6.6, or overlayfs
            assert!(
                matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EOPNOTSUPP)),
                "{error}"
            );
            return;
        }
    };
    set_inode_flags(&file, before | NO_DUMP).unwrap();
    assert_eq!(inode_flags(&file).unwrap(), before | NO_DUMP);
    set_inode_flags(&file, before & !NO_DUMP).unwrap();
    assert_eq!(inode_flags(&file).unwrap() & NO_DUMP, 0);
}
