#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests make their own files"
)]

use std::fs::{self, File};

use super::*;

#[test]
fn exchange_swaps_two_names_and_keeps_symlinks() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "one").unwrap();
    std::os::unix::fs::symlink("elsewhere", root.path().join("b")).unwrap();
    rename_exchange(&root.path().join("a"), &root.path().join("b")).unwrap();
    assert_eq!(fs::read_link(root.path().join("a")).unwrap(), Path::new("elsewhere"));
    assert_eq!(fs::read_to_string(root.path().join("b")).unwrap(), "one");
}

#[test]
fn kernel_errors_are_returned_unchanged() {
    let root = tempfile::tempdir().unwrap();
    let (a, none) = (root.path().join("a"), root.path().join("none"));
    fs::write(&a, "").unwrap();
    let number = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    assert_eq!(number(rename_exchange(&a, &none)), Some(libc::ENOENT));
    assert_eq!(number(rename_exchange(&a, Path::new("nul\0"))), Some(libc::EINVAL));
}

#[test]
fn other_file_system_is_distinguished_from_xfs_without_ftype() {
    let error = xfs_geometry(File::open("/proc").unwrap()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
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
