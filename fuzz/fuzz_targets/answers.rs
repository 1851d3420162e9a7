#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dcos_node::fuzz::answers(data));
