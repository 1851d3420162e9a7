#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

/// One directory a process; each run empties it.
static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| {
    tempfile::tempdir().map_or_else(|_| std::env::temp_dir(), tempfile::TempDir::keep)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcos_node::fuzz::headers(data, &SCRATCH));
