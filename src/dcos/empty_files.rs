//! Programs, libraries and units that a build may ship without a byte in them. Where no manifest
//! says how long a file was, any other one that is empty was emptied.

use std::path::Path;

/// Package, the beginning of a path in it, and why nothing may be in there.
const MAY_BE_EMPTY: [(&str, &str, &str); 4] = [
    (
        "dcos-config",
        "bin/detect_ip6",
        "empty unless ip6_detect_filename is set (gen/dcos-config.yaml, 1.12 to 2.2)",
    ),
    ("dcos-config", "bin/detect_ip_public", "an operator's script, as it was given"),
    ("dcos-config", "bin/detect_fault_domain", "an operator's script, as it was given"),
    ("custom-check-bins", "", "an operator's programs, as they were given (genconf/check_bins)"),
];

/// Whether the file at this path of a package may be empty.
pub fn may_be_empty(package: &str, path: &Path) -> bool {
    MAY_BE_EMPTY.iter().any(|(of, place, _)| *of == package && path.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_the_operator_may_be_empty_but_not_detect_ip() {
        let may = |package, path| may_be_empty(package, Path::new(path));
        assert!(may("dcos-config", "bin/detect_ip6") && may("custom-check-bins", "bin/mine"));
        assert!(!may("dcos-config", "bin/detect_ip") && !may("mesos", "bin/detect_ip6"));
        assert!(!may("dcos-config", "bin/detect_ip6.old"));
    }
}
