//! A wall clock that jumps: it is used for time stamps only, and wrong stamps stop no command.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::build::Build;
use support::image::{Image, Serve};

#[test]
fn records_with_future_times_do_not_stop_commands() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    for stamp in ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z"] {
        let live = image.at("opt/mesosphere/etc").display().to_string();
        let fault = format!("kill Rename 1 {live}.new -> {live}");
        let killed = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(["install", "master", "--bootstrap-url", serve.url(), "--root"])
            .arg(image.path())
            .env("DCOS_NODE_FAULT", fault)
            .output()
            .expect("run");
        assert_eq!(
            killed.status.code(),
            None,
            "it was not killed: {}",
            String::from_utf8_lossy(&killed.stderr)
        );
        stamped(&image.at("var/lib/dcos-node/journal"), stamp);
        image.run(&["status"]).ends(7, &[&["interrupted"]]);
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        stamped(&image.at("var/lib/dcos-node/receipt.json"), stamp);
        image.run(&["status"]).ends(0, &[&["installed:", stamp]]);
        image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        image.equals(&before);
    }
}

/// Gives every moment in a file of ours another time.
fn stamped(file: &Path, stamp: &str) {
    let text = fs::read_to_string(file).expect("a file of ours");
    let year = "\"20";
    let mut changed = String::new();
    let mut times = 0;
    for (at, part) in text.split(year).enumerate() {
        let is_stamp = at > 0
            && part.as_bytes().get(17) == Some(&b'Z')
            && part.as_bytes().get(2) == Some(&b'-');
        match (at, is_stamp) {
            (0, _) => changed.push_str(part),
            (_, true) => {
                times += 1;
                changed.push('"');
                changed.push_str(stamp);
                changed.push_str(&part[18..]);
            }
            (_, false) => {
                changed.push_str(year);
                changed.push_str(part);
            }
        }
    }
    assert!(times > 0, "{} has no moment", file.display());
    fs::write(file, changed).expect("write");
}

#[test]
fn wall_clock_is_used_only_for_time_stamps() {
    // Everything that waits does so by the monotonic clock (`Instant`, `tokio::time`): a wall clock
    // that is set cannot make it end early or never. Of a file that may still be written to,
    // `publish` keeps no stamp.
    let allowed = [
        "action/ourselves.rs",
        "command/bundle.rs",
        "command/world.rs",
        "observe/server.rs",
        "output/follow.rs",
        "system/fingerprint.rs",
    ];
    let (src, mut found) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    let mut todo = vec![src.clone()];
    while let Some(place) = todo.pop() {
        if place.is_dir() {
            todo.extend(
                fs::read_dir(&place).expect("list").map(|entry| entry.expect("entry").path()),
            );
            continue;
        }
        let text = fs::read_to_string(&place).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if ["SystemTime::now", "CLOCK_REALTIME", "UtcDateTime::now"]
            .iter()
            .any(|wall| code.contains(wall))
        {
            found.push(place.strip_prefix(&src).expect("below").display().to_string());
        }
    }
    found.sort();
    assert_eq!(found, allowed, "the wall clock is read elsewhere: is it for a stamp only?");
}
