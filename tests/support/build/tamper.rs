//! What an attacker serves: packages of the same ids with another content.

use std::fs;
use std::process::Command;

use super::Packed;

impl Packed {
    /// Changes one text file in the archive of a package, whose id stays; returns the true archive.
    pub fn tamper(
        &self,
        package: &str,
        file: &str,
        change: impl FnOnce(String) -> String,
    ) -> Vec<u8> {
        let archive = self.archive(package);
        let sound = fs::read(&archive).expect("the archive");
        let directory = tempfile::tempdir().expect("a directory for its content");
        let tar = |arguments: &[&str]| {
            let mut command = Command::new("tar");
            command.arg("-C").arg(directory.path()).args(arguments);
            assert!(command.status().expect("tar").success(), "{arguments:?}");
        };
        let name = archive.to_str().expect("a name that is text");
        tar(&["-xJf", name]);
        let file = directory.path().join(file);
        let text = fs::read_to_string(&file).expect("the file to change");
        fs::write(&file, change(text)).expect("change the file");
        tar(&["-cJf", name, "."]);
        sound
    }
}
