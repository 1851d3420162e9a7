//! Whose a listening port of this node is: a password must not go to whoever took the port of a
//! service that is down.

use std::path::Path;

use crate::dcos::layout;
use crate::system::files;
use crate::system::root::Root;
use crate::system::sockets::{self, Listening, Transport};

/// Longest `/etc/passwd` that is read.
const MAX_PASSWD: u64 = 16 << 20;

/// Whether every TCP socket that listens on a port belongs to a unit, or to an account that is not
/// root's. Reads files that may block a little: `/proc` of every process.
pub(super) fn is_of(root: &Root, port: u16, unit: &str, account: &str) -> bool {
    let proc = root.resolved(layout::PROC);
    let uid = uid(&root.resolved(layout::PASSWD), account).filter(|uid| *uid != 0);
    let Ok(listening) = sockets::listening(&proc) else { return false };
    let mut there = listening
        .iter()
        .filter(|socket| socket.transport == Transport::Tcp && socket.port == port)
        .peekable();
    if there.peek().is_none() {
        return false;
    }
    let holders = sockets::holders(&proc);
    let is_of_unit = |socket: &Listening| {
        holders.get(&socket.inode).and_then(|holder| holder.unit.as_deref()) == Some(unit)
    };
    there.all(|socket| uid == Some(socket.uid) || is_of_unit(socket))
}

fn uid(passwd: &Path, account: &str) -> Option<u32> {
    let text = files::read(passwd, MAX_PASSWD).ok().flatten()?;
    String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(account)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A root whose tables say that a port is listened on by one process.
    pub fn root(port: u16, uid: u32, unit: &str) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = directory.path().join(path);
            files::make_directories(path.parent().unwrap(), 0o755).unwrap();
            files::place(&path, text.as_bytes(), 0o644, None).unwrap();
        };
        let socket = format!("0: 0100007F:{port:04X} 00000000:0000 0A 0:0 00:0 0 {uid} 0 4711 1\n");
        put("proc/net/tcp", &socket);
        put("proc/7/comm", "java\n");
        put("proc/7/cgroup", &format!("0::/system.slice/{unit}\n"));
        files::make_directories(&directory.path().join("proc/7/fd"), 0o755).unwrap();
        let fd = directory.path().join("proc/7/fd/3");
        files::link(&fd, Path::new("socket:[4711]")).unwrap();
        put("etc/passwd", "root:x:0:0::/root:/bin/sh\ndcos_exhibitor:x:990:990::/:/bin/false\n");
        let root = Root::new(directory.path());
        (directory, root)
    }

    #[test]
    fn port_belongs_to_its_unit_or_account_only() {
        const UNIT: &str = "dcos-exhibitor.service";
        for (uid, unit, expected) in [
            (0, UNIT, true),
            (990, "session-2.scope", true),
            (1000, "session-2.scope", false),
            (0, "nginx.service", false),
        ] {
            let (_directory, root) = root(8181, uid, unit);
            assert_eq!(is_of(&root, 8181, UNIT, "dcos_exhibitor"), expected, "{uid} {unit}");
            assert!(!is_of(&root, 8182, UNIT, "dcos_exhibitor"), "nobody listens there");
        }
    }
}
