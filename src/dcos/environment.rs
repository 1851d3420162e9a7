//! `environment` and `environment.export`: the variables of all packages, for systemd and for
//! shells (`pkgpanda/__init__.py`, env_header).

use super::package::Package;

/// Set for everybody; no package may set them.
pub const RESERVED: [&str; 2] = ["LD_LIBRARY_PATH", "PATH"];

/// The text of `environment`, which units name in `EnvironmentFile=`.
pub fn for_units(packages: &[Package]) -> String {
    render(
        "# Pkgpanda provided environment variables\n\
         LD_LIBRARY_PATH=/opt/mesosphere/lib\n\
         PATH=/opt/mesosphere/bin:/usr/bin:/bin:/sbin\n\
         \n",
        "",
        packages,
    )
}

/// The text of `environment.export`, which shells source.
pub fn for_shells(packages: &[Package]) -> String {
    render(
        "# Pkgpanda provided environment variables\n\
         export LD_LIBRARY_PATH=/opt/mesosphere/lib\n\
         export PATH=\"/opt/mesosphere/bin:$PATH\"\n\
         \n",
        "export ",
        packages,
    )
}

fn render(head: &str, before: &str, packages: &[Package]) -> String {
    let mut text = head.to_owned();
    for package in packages {
        text.push_str(&format!("# package: {}\n", package.id));
        for (name, value) in &package.info.environment {
            text.push_str(&format!("{before}{name}={value}\n"));
        }
        text.push('\n');
    }
    text
}
