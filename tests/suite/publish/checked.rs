//! What a check finds, and what is not published.

use std::fs;

use serde_json::json;
use support::build::Build;

use super::{Bench, PROGRAM, exits, program, tree, url};

#[test]
fn a_check_finds_every_flipped_bit_and_changes_nothing() {
    let bench = Bench::new(Build::tiny());
    exits(&bench.publish(&["--check"]), 1, "was not published");
    bench.published(&["--bootstrap-url", &url(&bench), "--recompress", "zstd"]);
    let before = tree(bench.directory.path());
    let told = bench.published(&["--check"]);
    assert_eq!((&told["changed"], &told["reused"]), (&json!(false), &json!(0)));
    assert!(tree(bench.directory.path()) == before);
    let (archive, alternative) =
        (bench.packed.archive("files"), bench.packed.archive("files").with_extension("zst"));
    let files = [
        archive,
        alternative,
        bench.packed.bootstrap_archive(),
        bench.path("dcos-build.json"),
        bench.path("dcos-node"),
    ];
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        // Of the program only the stamp is known here; its SHA-256 is compared out of band.
        let at = match file.ends_with("dcos-node") {
            true => {
                flipped.windows(21).rposition(|text| text == b"{\"bootstrap_url\":\"fil").unwrap()
            }
            false => bytes.len() / 2,
        };
        flipped[at] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let output = bench.publish(&["--check"]);
        assert_eq!(output.status.code(), Some(6), "{}: {output:?}", file.display());
        fs::write(&file, &bytes).unwrap();
    }
    fs::remove_file(bench.packed.archive("files")).unwrap();
    exits(&bench.publish(&["--check"]), 1, "files--");
}

#[test]
fn invalid_build_is_not_published_and_the_old_one_stays() {
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench)]);
    let before = tree(bench.directory.path());
    let archive = bench.packed.archive("files");
    let sound = fs::read(&archive).unwrap();
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 1;
    for bad in [
        flipped,
        sound[..sound.len() / 2].to_vec(),
        Vec::new(),
        b"<html>".to_vec(),
        tar_that_leads_outside(),
    ] {
        fs::write(&archive, bad).unwrap();
        exits(&bench.publish(&["--bootstrap-url", &url(&bench)]), 6, &name);
    }
    fs::remove_file(&archive).unwrap();
    exits(&bench.publish(&["--bootstrap-url", &url(&bench)]), 1, &name);
    fs::write(&archive, sound).unwrap();
    assert!(tree(bench.directory.path()) == before);
    exits(&bench.publish(&["--bootstrap-url", "http://user:secret@host"]), 2, "no user, password");
    exits(&bench.publish(&["--bootstrap-url", "http://host/$(reboot)"]), 2, "characters");
    exits(
        &bench.publish(&["--bootstrap-url", &format!("http://host/{}", "x".repeat(9000))]),
        2,
        "does not fit",
    );
    let nothing = tempfile::tempdir().unwrap();
    exits(
        &program(PROGRAM.as_ref()).arg("publish").arg(nothing.path()).output().unwrap(),
        2,
        "has no build",
    );
    fs::write(nothing.path().join("bootstrap.latest"), "0123456789abcdef").unwrap();
    exits(
        &program(PROGRAM.as_ref()).arg("publish").arg(nothing.path()).output().unwrap(),
        1,
        "holds no build",
    );
}

/// An archive with a member `../../x`.
fn tar_that_leads_outside() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"../../x");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    [&header.as_bytes()[..], &[0; 1024]].concat()
}
