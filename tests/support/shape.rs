//! `fixtures/build` in the shape of each release of DC/OS: its units by role, users, state
//! directories, packages and configuration files.
//!
//! `fixtures/shapes/<release>.json` says what is different from the release named by `from`; 1.12
//! is the source tree itself. The fields are described in `fixtures/README.md`.

// It makes fixtures, so the rules for files of a node do not bind it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::Value;

use crate::build::Build;

/// A release of DC/OS that a build can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shape {
    V1_10,
    V1_11,
    V1_12,
    V1_13,
    V2_0,
    V2_1,
    V2_2,
}

impl Shape {
    /// Every shape, the oldest release first.
    pub const ALL: [Shape; 7] = [
        Shape::V1_10,
        Shape::V1_11,
        Shape::V1_12,
        Shape::V1_13,
        Shape::V2_0,
        Shape::V2_1,
        Shape::V2_2,
    ];

    /// The release: `1.12`.
    pub fn release(self) -> &'static str {
        match self {
            Shape::V1_10 => "1.10",
            Shape::V1_11 => "1.11",
            Shape::V1_12 => "1.12",
            Shape::V1_13 => "1.13",
            Shape::V2_0 => "2.0",
            Shape::V2_1 => "2.1",
            Shape::V2_2 => "2.2",
        }
    }

    /// The shape of a release.
    pub fn of(release: &str) -> Option<Shape> {
        Shape::ALL.into_iter().find(|shape| shape.release() == release)
    }

    /// The build in this shape; its version is `<release>-fixture`.
    pub fn build(self) -> Build {
        shaped(self.release()).with_config("dcos_version", &format!("{}-fixture", self.release()))
    }
}

fn shaped(release: &str) -> Build {
    let path = crate::checkout().join(format!("fixtures/shapes/{release}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let changes: Value =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut build = changes["from"].as_str().map_or_else(Build::fixture, shaped);
    for (to, from) in entries(&changes["copied"]) {
        let (package, path) = inside(string(from));
        let (mode, content) = build.file(package, path);
        let (package, path) = inside(to);
        build = build.with_file(package, path, mode, content);
    }
    if let Some(package) = changes["renamed"]["package"].as_str() {
        let replaced = changes["renamed"]["replaced"].as_array().into_iter().flatten();
        let replaced: Vec<_> = replaced.map(|pair| (string(&pair[0]), string(&pair[1]))).collect();
        build = build.renamed_package(package, string(&changes["renamed"]["to"]), &replaced);
    }
    for name in strings(&changes["without_packages"]) {
        build = build.without_package(name);
    }
    for (package, paths) in entries(&changes["without_files"]) {
        for path in strings(paths) {
            build = build.without_file(package, path);
        }
    }
    for (name, package) in entries(&changes["packages"]) {
        build = with_package(build, name, package);
    }
    build
}

/// Adds to a package, or makes it.
fn with_package(mut build: Build, name: &str, package: &Value) -> Build {
    if let Some(pkginfo) = package.get("pkginfo") {
        let text = serde_json::to_string_pretty(pkginfo).expect("JSON") + "\n";
        build = build.with_pkginfo(name, &text);
    }
    for (path, lines) in entries(&package["files"]) {
        let text = strings(lines).map(|line| format!("{line}\n")).collect::<String>();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        build = build.with_file(name, path, mode, text);
    }
    for path in strings(&package["empty"]) {
        build = build.with_file(name, path, 0o644, "");
    }
    for (unit, description) in entries(&package["units"]) {
        for role in strings(&description["roles"]) {
            let wants = match role {
                "all" => "dcos.target.wants".to_owned(),
                role => format!("dcos.target.wants_{role}"),
            };
            let text = unit_text(unit, strings(&description["lines"]));
            build = build.with_file(name, &format!("{wants}/{unit}"), 0o644, text);
        }
    }
    build
}

/// The text of a unit with these lines in its own section. Services restart as DC/OS' do, unless
/// their lines say otherwise.
fn unit_text<'a>(name: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    let of_unit = |line: &&&str| {
        ["After=", "ConditionPathExists="].iter().any(|setting| line.starts_with(setting))
    };
    let mut text = format!("[Unit]\nDescription=DC/OS {name} (stand-in)\n");
    text.extend(lines.iter().filter(of_unit).map(|line| format!("{line}\n")));
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    text += match kind {
        "socket" => "\n[Socket]\n",
        "timer" => "\n[Timer]\n",
        _ => "\n[Service]\nEnvironmentFile=/opt/mesosphere/environment\n",
    };
    let says = |setting: &str| lines.iter().any(|line| line.starts_with(setting));
    if kind == "service" && !says("Restart=") && !says("Type=oneshot") {
        text += "Restart=always\nStartLimitInterval=0\nRestartSec=2\n";
    }
    text.extend(lines.iter().filter(|line| !of_unit(line)).map(|line| format!("{line}\n")));
    text
}

/// `package/path`.
fn inside(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or_else(|| panic!("{text} is not PACKAGE/PATH"))
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(string)
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}
