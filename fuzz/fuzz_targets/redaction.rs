#![no_main]

use std::sync::LazyLock;

use dcos_node::dcos::redact::Redactor;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new().expect("the rules parse"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcos_node::fuzz::redaction(data, &REDACTOR));
