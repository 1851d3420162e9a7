//! Packs a build of `fixtures/` into a serve directory: `cargo run --example pack_build --
//! fixture|tiny|RELEASE DIR [KEY=VALUE]...`
//!
//! RELEASE is 1.10, 1.11, 1.12, 1.13, 2.0, 2.1 or 2.2: the fixture in the shape of that release.
//! KEY=VALUE is a setting of the configuration, such as `bootstrap_url=http://10.0.0.1`;
//! `masters=10.0.0.1,10.0.0.2` sets a static list of masters.

#![allow(clippy::print_stdout)]

use std::path::Path;

use support::build::Build;
use support::shape::Shape;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, dir, settings @ ..] = arguments.as_slice() else {
        return Err("usage: pack_build fixture|tiny|RELEASE DIR [KEY=VALUE]...".into());
    };
    let mut build = match name.as_str() {
        "fixture" => Build::fixture(),
        "tiny" => Build::tiny(),
        other => Shape::of(other).ok_or_else(|| format!("no build is called {other}"))?.build(),
    };
    for setting in settings {
        let (key, value) = setting.split_once('=').ok_or(format!("{setting} is not KEY=VALUE"))?;
        build = match key {
            "masters" => build.with_masters(&value.split(',').collect::<Vec<_>>()),
            _ => build.with_config(key, value),
        };
    }
    let packed = build.pack(Path::new(dir));
    println!("bootstrap id     {}", packed.bootstrap_id);
    println!("package list id  {}", packed.package_list_id);
    println!("packages         {}", packed.ids.len());
    Ok(())
}
