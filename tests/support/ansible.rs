//! Ansible as the tests run it, and the example that they run.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::{checkout, node};

/// Directory of the example's role, playbooks and inventory.
pub fn examples() -> PathBuf {
    checkout().join("examples/ansible")
}

/// `ansible-playbook`, where `make` installs it.
pub fn playbook_program() -> PathBuf {
    checkout().join("target/ansible/bin/ansible-playbook")
}

/// True if Ansible is installed. If not, says on the terminal that the test was not run, and fails
/// it where `CI` is set.
pub fn available() -> bool {
    playbook_program().is_file() || node::not_run("there is no Ansible: make target/ansible/done")
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
