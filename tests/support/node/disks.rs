//! Disks that lose what was not synced: file systems in images, copied as they stand at the moment
//! of the cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::outcome::{attempt, must};
use super::place::Place;

/// The directories that an install writes to. Each has a file system of its own, because a sync of
/// one does not reach the others: on one disk a sync of any file would make everything durable that
/// was done before, and hide one that is missing.
const DIRECTORIES: [&str; 3] = ["etc", "opt", "var"];
/// Bytes of one disk; the image has holes.
const SIZE: u64 = 512 << 20;
/// Harder than the defaults: what nobody syncs stays unwritten for minutes, and a rename does not
/// write the file that it brings.
const OPTIONS: &str = "loop,commit=300,noauto_da_alloc";

/// The disks of one node, mounted below its root.
pub(super) struct Disks {
    images: PathBuf,
    root: PathBuf,
}

impl Disks {
    /// Makes the disks and moves onto them what stands in their directories.
    #[track_caller]
    pub(super) fn new(place: &Place, root: &Path) -> Disks {
        let disks = Disks { images: place.in_memory("disks"), root: root.to_owned() };
        for name in DIRECTORIES {
            let image = disks.image(name);
            fs::File::create(&image).and_then(|file| file.set_len(SIZE)).expect("make an image");
            must(
                Command::new("mkfs.ext4")
                    .args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d"])
                    .arg(disks.below(name))
                    .arg(&image),
            );
            must(Command::new("find").arg(disks.below(name)).args(["-mindepth", "1", "-delete"]));
            disks.mount(name);
        }
        disks
    }

    /// The disks are as if the power had gone: the images are copied as they are now, and the file
    /// systems never get to write the rest.
    #[track_caller]
    pub(super) fn forget_unwritten(&self) {
        let copies: Vec<(PathBuf, PathBuf)> = DIRECTORIES
            .map(|name| (self.image(name), self.images.join(format!("{name}.cut"))))
            .to_vec();
        for (image, copy) in &copies {
            copy_whole(image, copy);
        }
        for (name, (image, copy)) in DIRECTORIES.iter().zip(&copies) {
            // What the file system writes now goes into a file that nobody reads again.
            fs::remove_file(image).expect("forget the image");
            must(Command::new("umount").arg(self.below(name)));
            fs::rename(copy, image).expect("put the copy in its place");
            self.mount(name);
        }
    }

    fn mount(&self, name: &str) {
        must(
            Command::new("mount").args(["-o", OPTIONS]).arg(self.image(name)).arg(self.below(name)),
        );
    }

    fn image(&self, name: &str) -> PathBuf {
        self.images.join(format!("{name}.ext4"))
    }

    fn below(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Copies a file that may be written meanwhile: again, until two copies that follow each other are
/// the same.
#[track_caller]
fn copy_whole(from: &Path, to: &Path) {
    let copy = |to: &Path| must(Command::new("cp").arg("--sparse=always").arg(from).arg(to));
    copy(to);
    let second = to.with_extension("again");
    for _ in 0..20 {
        copy(&second);
        if attempt(Command::new("cmp").arg("-s").arg(to).arg(&second)).code() == Some(0) {
            fs::remove_file(&second).expect("remove the second copy");
            return;
        }
        fs::rename(&second, to).expect("keep the newer copy");
    }
    panic!("{}: it changes faster than it can be copied", from.display());
}
