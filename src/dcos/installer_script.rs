//! `dcos_install.sh` read as data, never run: the node files it carries
//! (`gen/build_deploy/bash.py`, same shape 1.10 to 2.2).
//!
//! Each file is a block `mkdir -p`, `cat <<'EOF' > "PATH"`, the lines, `EOF`, `chmod MODE PATH`.
//! Nothing in it is expanded. From 2.0 on, a CA certificate comes as `read -d '' ca_data << 'EOF'
//! || true` with the path in a later `echo "$ca_data" > PATH`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::layout;

/// A file that the classic installer writes on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Absolute, as the node sees it.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The text, byte for byte as the shell would write it.
    pub content: String,
}

/// Why a script is not a `dcos_install.sh` that can be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreadable {
    /// A here-document has no end.
    #[error("line {line}: the text for {path} has no line {end:?} after it")]
    NoEnd {
        /// Where it begins, from 1.
        line: usize,
        /// The file it is for.
        path: String,
        /// The end marker that is missing.
        end: String,
    },
    /// A path that only a shell could tell.
    #[error("line {line}: {path:?} is not an absolute path without shell expansions")]
    NotAPath {
        /// From 1.
        line: usize,
        /// What stands there.
        path: String,
    },
    /// A mode that is not octal.
    #[error("line {line}: {mode:?} is not an octal mode")]
    NotAMode {
        /// From 1.
        line: usize,
        /// What stands there.
        mode: String,
    },
    /// The two setup flags are what makes the script one of DC/OS.
    #[error("it does not carry {0}; is it a dcos_install.sh?")]
    Missing(&'static str),
}

/// Files that every `dcos_install.sh` carries.
const EXPECTED: [&str; 2] = [layout::REPOSITORY_URL, layout::CLUSTER_PACKAGE_LIST];

/// Reads all node files out of the text of a `dcos_install.sh`, in its order.
///
/// # Errors
/// A script whose blocks do not have the documented shape; nothing is guessed.
pub fn node_files(script: &str) -> Result<Vec<NodeFile>, Unreadable> {
    let lines: Vec<&str> = script.lines().collect();
    let mut files = Vec::new();
    let mut certificate = None;
    let mut at = 0;
    while let Some(&text_of_line) = lines.get(at) {
        let line = at + 1;
        if let Some((end, path)) = here_document(text_of_line) {
            let path = absolute(path, line)?;
            let (content, after) = text_until(&lines, at + 1, &end).ok_or_else(|| {
                Unreadable::NoEnd { line, path: path.display().to_string(), end: end.clone() }
            })?;
            let mode = mode_of(&lines, after, &path)?;
            files.push(NodeFile { path, mode, content });
            at = after;
        } else if let Some(end) = certificate_document(text_of_line) {
            let (content, after) = text_until(&lines, at + 1, &end).ok_or_else(|| {
                Unreadable::NoEnd { line, path: "ca_data".into(), end: end.clone() }
            })?;
            // `read` without a name for the separator drops white space at both ends.
            certificate = Some(content.trim().to_owned()).filter(|text| !text.is_empty());
            at = after;
        } else {
            if let (Some(text), Some(path)) = (&certificate, certificate_path(text_of_line)) {
                files.push(NodeFile {
                    path: absolute(path, line)?,
                    mode: 0o644,
                    content: format!("{text}\n"),
                });
                certificate = None;
            }
            at += 1;
        }
    }
    expected(&files)?;
    Ok(files)
}

/// Checks node files that come from elsewhere as strictly as those that are read from a script.
///
/// # Errors
/// A path that is not absolute or leads elsewhere, a mode that is none, and setup flags that are
/// missing.
pub fn check(files: &[NodeFile]) -> Result<(), Unreadable> {
    for (line, file) in (1..).zip(files) {
        absolute(&file.path.to_string_lossy(), line)?;
        if file.mode > 0o7777 {
            return Err(Unreadable::NotAMode { line, mode: format!("{:o}", file.mode) });
        }
    }
    expected(files)
}

fn expected(files: &[NodeFile]) -> Result<(), Unreadable> {
    match EXPECTED.into_iter().find(|path| !files.iter().any(|f| f.path.as_os_str() == *path)) {
        Some(path) => Err(Unreadable::Missing(path)),
        None => Ok(()),
    }
}

/// The bootstrap URL that a build was made for: `dcos-download.service` fetches the bootstrap
/// archive from it, and pkgpanda's setup flag names it.
pub fn bootstrap_url(files: &[NodeFile]) -> Option<String> {
    let fetched =
        files.iter().filter(|file| file.path.ends_with("dcos-download.service")).find_map(|file| {
            let word = file
                .content
                .split_whitespace()
                .map(unquoted)
                .find(|word| word.ends_with(".bootstrap.tar.xz"))?;
            Some(word.rsplit_once("/bootstrap/")?.0.to_owned())
        });
    let flag = || {
        files
            .iter()
            .find(|file| file.path.as_os_str() == layout::REPOSITORY_URL)
            .map(|file| file.content.trim().to_owned())
    };
    let url = fetched.or_else(flag)?;
    Some(url.trim_end_matches('/').to_owned())
        .filter(|url| url.contains("://") && !url.contains(char::is_whitespace))
}

/// `cat <<'EOF' > "PATH"`: the end marker and the path.
fn here_document(line: &str) -> Option<(String, &str)> {
    let rest = line.strip_prefix("cat")?.trim_start().strip_prefix("<<")?.trim_start();
    let rest = rest.strip_prefix('\'')?;
    let (end, rest) = rest.split_once('\'')?;
    let path = rest.trim_start().strip_prefix('>')?.trim();
    Some((end.to_owned(), unquoted(path)))
}

/// `read -d '' ca_data << 'EOF' || true`: the end marker.
fn certificate_document(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("read ")?;
    let (before, rest) = rest.split_once("<<")?;
    if !before.contains("ca_data") {
        return None;
    }
    Some(rest.trim_start().strip_prefix('\'')?.split_once('\'')?.0.to_owned())
}

/// `echo "$ca_data" > PATH`.
fn certificate_path(line: &str) -> Option<&str> {
    Some(unquoted(
        line.trim_start().strip_prefix("echo \"$ca_data\"")?.trim_start().strip_prefix('>')?.trim(),
    ))
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn absolute(path: &str, line: usize) -> Result<PathBuf, Unreadable> {
    let plain = path.starts_with('/')
        && !path.contains(['$', '`', '"', '\'', '*', '?', '\\', ' ', ';'])
        && !path.split('/').any(|part| part == "..");
    if plain {
        Ok(PathBuf::from(path))
    } else {
        Err(Unreadable::NotAPath { line, path: path.to_owned() })
    }
}

/// The lines up to the end marker, each with its newline, and the index after the marker.
fn text_until(lines: &[&str], from: usize, end: &str) -> Option<(String, usize)> {
    let rest = lines.get(from..)?;
    let length = rest.iter().position(|line| *line == end)?;
    let mut text = rest.get(..length)?.join("\n");
    if length > 0 {
        text.push('\n');
    }
    Some((text, from + length + 1))
}

/// The mode in the `chmod` line that follows a block; a file without one keeps what a umask of 022
/// gives.
fn mode_of(lines: &[&str], after: usize, path: &std::path::Path) -> Result<u32, Unreadable> {
    let Some(rest) = lines.get(after).and_then(|line| line.strip_prefix("chmod ")) else {
        return Ok(0o644);
    };
    match rest.trim().split_once(' ') {
        Some((mode, target)) if path.as_os_str() == unquoted(target.trim()) => {
            u32::from_str_radix(mode, 8)
                .ok()
                .filter(|m| *m <= 0o7777)
                .ok_or_else(|| Unreadable::NotAMode { line: after + 1, mode: mode.to_owned() })
        }
        _ => Ok(0o644),
    }
}

/// A link that `dcos-link-env.service` would make when it is started: where it lies and where it
/// points.
///
/// The unit holds `ExecStart=... ln -sf SOURCE TARGET`, so that an operator can choose the paths
/// (`gen/dcos-services.yaml`); any other command is none.
pub fn link_of(unit: &str) -> Option<(PathBuf, PathBuf)> {
    let command = unit.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let [program, options, source, link] = words[..] else { return None };
    let is_ln = program == "ln" || program.ends_with("/ln");
    if !is_ln
        || !options.starts_with('-')
        || !options.contains('s')
        || !source.starts_with('/')
        || !link.starts_with('/')
    {
        return None;
    }
    Some((PathBuf::from(link), PathBuf::from(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/bin/bash\n\
                          mkdir -p `dirname /etc/mesosphere/setup-flags/repository-url`\n\
                          cat <<'EOF' > \"/etc/mesosphere/setup-flags/repository-url\"\n\
                          http://b:8080\n\
                          \n\
                          EOF\n\
                          chmod 0644 /etc/mesosphere/setup-flags/repository-url\n\
                          \n\
                          cat <<'EOF' > \"/etc/mesosphere/setup-flags/cluster-package-list\"\n\
                          abc\n\
                          \n\
                          EOF\n\
                          chmod 0600 /etc/mesosphere/setup-flags/cluster-package-list\n\
                          read -d '' ca_data << 'EOF' || true\n\
                          \n\
                          -----BEGIN-----\n\
                          x\n\
                          \n\
                          EOF\n    if [ -n \"$ca_data\" ]; then\n        echo \"$ca_data\" > \
                          /tmp/root-cert.pem\n    fi\n";

    #[test]
    fn files_are_read_byte_for_byte_and_nothing_is_expanded() {
        let files = node_files(&SCRIPT.replace("http://b:8080", "$(reboot) `x` $HOME")).unwrap();
        assert_eq!(files[0].content, "$(reboot) `x` $HOME\n\n");
        assert_eq!((files[1].mode, files[1].content.as_str()), (0o600, "abc\n\n"));
        assert_eq!(
            (files[2].path.to_str().unwrap(), files[2].content.as_str()),
            ("/tmp/root-cert.pem", "-----BEGIN-----\nx\n")
        );
    }

    #[test]
    fn empty_certificate_produces_no_file() {
        assert_eq!(node_files(&SCRIPT.replace("-----BEGIN-----\nx\n", "")).unwrap().len(), 2);
    }

    #[test]
    fn script_that_needs_a_shell_to_evaluate_is_refused() {
        assert!(matches!(
            node_files(
                &SCRIPT
                    .replace("> \"/etc/mesosphere/setup-flags/repository-url\"", "> \"$DIR/url\"")
            ),
            Err(Unreadable::NotAPath { line: 3, .. })
        ));
        assert!(matches!(
            node_files(&SCRIPT.replace("/etc/mesosphere/setup-flags/", "/etc/../")),
            Err(Unreadable::NotAPath { .. })
        ));
        assert!(matches!(
            node_files("cat <<'EOF' > \"/etc/x\"\nabc\n"),
            Err(Unreadable::NoEnd { line: 1, .. })
        ));
        assert!(matches!(node_files("<html>404</html>"), Err(Unreadable::Missing(_))));
    }

    #[test]
    fn the_bootstrap_url_is_the_one_that_the_units_use() {
        let file = |path: &str, content: &str| NodeFile {
            path: path.into(),
            mode: 0o644,
            content: content.into(),
        };
        let flag = file(layout::REPOSITORY_URL, "http://flag:80/x\n\n");
        let unit = "[Service]\nExecStart=/usr/bin/curl --keepalive-time 2 -o /tmp/b.tar.xz \
                    \"https://b:8080/p/bootstrap/a1.bootstrap.tar.xz\"\n";
        let download = file("/etc/systemd/system/dcos-download.service", unit);
        assert_eq!(bootstrap_url(&[flag.clone(), download]).as_deref(), Some("https://b:8080/p"));
        assert_eq!(bootstrap_url(&[flag]).as_deref(), Some("http://flag:80/x"));
        assert_eq!(bootstrap_url(&[file(layout::REPOSITORY_URL, "\n\n")]), None);
    }

    #[test]
    fn the_profile_link_is_read_from_the_unit() {
        let (link, source) = link_of(
            "[Service]\n\
             Type=oneshot\n\
             ExecStartPre=/usr/bin/mkdir -p /etc/profile.d\n\
             ExecStart=/usr/bin/ln -sf /opt/mesosphere/bin/add_dcos_path.sh \
             /etc/profile.d/dcos.sh\n",
        )
        .unwrap();
        assert_eq!(
            (link.to_str(), source.to_str()),
            (Some("/etc/profile.d/dcos.sh"), Some("/opt/mesosphere/bin/add_dcos_path.sh"))
        );
        assert_eq!(link_of("[Service]\nExecStart=/bin/true\n"), None);
    }
}
