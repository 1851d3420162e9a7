//! Every effect on the outside passes a fault point (`src/system/fault.rs`) before it happens, so
//! that the tests of crash safety can stop the program there. Read off the sources as text: a call
//! that is known to change something needs a point of its kind before it in the same function.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{at, finds, holds, src};
use support::source::{File, Kind, Sources, Token, group_length};

/// Functions that change something, and of which kind a point before them must be.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("std::fs::File::create", OPEN),
    ("std::fs::File::create_new", OPEN),
    ("std::fs::write", WRITE),
    ("std::fs::copy", WRITE),
    ("std::io::copy", WRITE),
    ("nix::fcntl::fallocate", WRITE),
    ("nix::unistd::ftruncate", WRITE),
    ("nix::unistd::write", WRITE),
    ("nix::unistd::fsync", &["Sync"]),
    ("nix::unistd::fdatasync", &["Sync"]),
    ("nix::unistd::syncfs", SYNC_ALL),
    ("nix::unistd::sync", SYNC_ALL),
    ("std::fs::rename", RENAME),
    ("nix::fcntl::renameat", RENAME),
    ("nix::fcntl::renameat2", RENAME),
    ("crate::system::kernel::rename_exchange", RENAME),
    ("std::fs::hard_link", LINK),
    ("std::fs::soft_link", LINK),
    ("std::os::unix::fs::symlink", LINK),
    ("nix::unistd::linkat", LINK),
    ("nix::unistd::symlinkat", LINK),
    ("std::fs::remove_file", REMOVE),
    ("std::fs::remove_dir", REMOVE),
    ("std::fs::remove_dir_all", REMOVE),
    ("nix::unistd::unlink", REMOVE),
    ("nix::unistd::unlinkat", REMOVE),
    ("std::fs::create_dir", DIRECTORY),
    ("std::fs::create_dir_all", DIRECTORY),
    ("std::fs::DirBuilder::new", DIRECTORY),
    ("nix::unistd::mkdir", DIRECTORY),
    ("nix::sys::stat::mkdirat", DIRECTORY),
    ("std::fs::set_permissions", ATTRIBUTES),
    ("std::os::unix::fs::chown", ATTRIBUTES),
    ("std::os::unix::fs::lchown", ATTRIBUTES),
    ("std::os::unix::fs::fchown", ATTRIBUTES),
    ("nix::unistd::chown", ATTRIBUTES),
    ("nix::unistd::fchown", ATTRIBUTES),
    ("nix::unistd::fchownat", ATTRIBUTES),
    ("nix::sys::stat::fchmod", ATTRIBUTES),
    ("nix::sys::stat::fchmodat", ATTRIBUTES),
    ("nix::sys::stat::futimens", ATTRIBUTES),
    ("nix::sys::stat::utimensat", ATTRIBUTES),
    ("crate::system::kernel::set_inode_flags", ATTRIBUTES),
    ("std::process::Command::new", &["Spawn"]),
    ("tokio::process::Command::new", &["Spawn"]),
    ("nix::sys::statvfs::statvfs", &["Mounts"]),
    ("crate::system::mountinfo::parse", &["Mounts"]),
    ("crate::system::systemd::interfaces::ManagerProxy::builder", CALL),
    ("crate::system::systemd::interfaces::ManagerProxy::new", CALL),
    ("crate::system::systemd::interfaces::NetworkdProxy::new", CALL),
    ("crate::system::systemd::interfaces::NetworkManagerProxy::new", CALL),
    ("nix::sys::socket::sendto", &["Call"]),
    ("nix::sys::socket::sendmsg", &["Call"]),
    ("nix::sys::signal::kill", &["Call"]),
    ("nix::sys::signal::killpg", NONE),
    ("nix::mount::mount", CONFINE),
    ("nix::sched::unshare", CONFINE),
    ("nix::unistd::pivot_root", CONFINE),
    ("nix::unistd::chroot", CONFINE),
    ("nix::mount::umount", NONE),
    ("nix::mount::umount2", &["Mounts"]),
    ("crate::system::kernel::set_mounts_read_only", NONE),
    ("crate::system::kernel::drop_from_bounding_set", CONFINE),
    ("crate::system::kernel::filter_system_calls", CONFINE),
    ("crate::system::kernel::filter_and_listen", CONFINE),
    ("crate::system::kernel::start_with_private_tmpfs", NONE),
];

/// Methods that do the same, whatever they are called on.
const METHODS: &[(&str, &[&str])] = &[
    ("write_all", WRITE),
    ("write_at", WRITE),
    ("write_all_at", WRITE),
    ("write_vectored", WRITE),
    ("set_len", WRITE),
    ("sync_all", &["Sync"]),
    ("sync_data", &["Sync"]),
    ("set_permissions", ATTRIBUTES),
    ("set_times", ATTRIBUTES),
    ("set_modified", ATTRIBUTES),
    ("chunk", &["Receive"]),
    ("call_method", CALL),
    // systemd's proxy: who has it can call everything.
    ("manager", CALL),
];
/// Methods that are options of opening when they are given `true`.
const OPENING: [&str; 4] = ["append", "create", "create_new", "truncate"];

const OPEN: &[&str] = &["Open", "Write"];
const WRITE: &[&str] = &["Write"];
const SYNC_ALL: &[&str] = &["SyncFileSystem"];
const RENAME: &[&str] = &["Rename"];
const LINK: &[&str] = &["Link"];
const REMOVE: &[&str] = &["Remove"];
const DIRECTORY: &[&str] = &["Directory"];
const ATTRIBUTES: &[&str] = &["Attributes"];
const CALL: &[&str] = &["Call"];
const CONFINE: &[&str] = &["Confine"];
/// There is no kind of point for it: each place has its reason in the table.
const NONE: &[&str] = &[];

/// What needs no point where it stands: the file, the function, the call, and why.
const EXCUSED: &[(&str, &str, &str, &str)] = &[
    (
        "system/append",
        "write",
        "write",
        "news for who reads along; the node does not depend on them",
    ),
    (
        "system/account_lock",
        "remove",
        "write",
        "opens what is there for its lock; nothing is written",
    ),
    ("system/dns", "try_tcp", "write_all", "a question to a name server"),
    ("system/words", "ask", "write_all", "a question to a service"),
    ("system/confine/supervise", "supervise", "kill", "ends only what this process has started"),
    ("system/confine/processes", "end_all", "kill", "ends only what this process has started"),
    ("system/confine/processes", "kill_below", "kill", "ends only what this process has started"),
    ("system/confine/processes", "kill_below", "killpg", "ends only what this process has started"),
    ("system/confine/notices", "answer", "kill", "ends only what this process has started"),
    ("system/confine/supervise", "send", "write_all", "an answer to the process that started us"),
    ("system/process", "kill", "killpg", "ends only what this program has started"),
    ("system/lock", "is_alive", "kill", "signal 0 only asks"),
    (
        "system/lock",
        "acquire",
        "set_permissions",
        "between the two writes of one text, which no one needs",
    ),
    (
        "system/lock",
        "drop",
        "set_len",
        "the text is for who reads it while the lock is held; nothing is lost if it stays",
    ),
    (
        "system/netlink",
        "send",
        "sendto",
        "`change` passes a point before; what only asks changes nothing",
    ),
    ("system/seal", "private_mounts", "unshare", "mounts of this process only"),
    ("system/seal", "private_mounts", "mount", "mounts of this process only"),
    ("system/seal", "private_mounts", "set_mounts_read_only", "mounts of this process only"),
    ("system/seal", "set_each_read_only", "mount", "mounts of this process only"),
    (
        "system/seal",
        "set_each_read_only",
        "parse",
        "the table was read when this process was sealed",
    ),
    (
        "system/seal",
        "prepare",
        "start_with_private_tmpfs",
        "a file system that only the program sees that is started",
    ),
    (
        "system/systemd/link",
        "open_at_leisure",
        "builder",
        "only subscribes; `Bus::call` passes a point before it takes the proxy",
    ),
    ("system/systemd/neighbour", "reload", "new", "`Bus::reload_neighbour` passes a point before"),
    (
        "system/systemd/socket",
        "sendmsg",
        "write",
        "carries the call that passed a point in `Bus::call`",
    ),
    ("system/source/download", "of_body", "chunk", "the body of ours that passes a point itself"),
    ("system/http", "get_once", "chunk", "the body of ours that passes a point itself"),
    ("system/unpack", "unpack", "write", "the method of ours that passes points itself"),
];

/// Files that are no hands: the fault points, the calls of the kernel by their own names (which are
/// in the table), and a systemd for tests.
const LEFT_OUT: [&str; 3] = ["system/fault", "system/kernel", "system/systemd/fake"];

/// Calls of the kernel that change nothing outside of this process.
const HARMLESS: [&str; 16] = [
    "attribute_length",
    "adjtimex",
    "inode_flags",
    "xfs_geometry",
    "fork",
    "close_from",
    "drop_capabilities",
    "next_notice",
    "answer_notice",
    "give_descriptor",
    "send_descriptor",
    "receive_descriptor",
    "slot",
    "unacknowledged",
    "set_signal",
    "exit_without_memory",
];

/// A function: its name, and where its tokens are.
struct Function {
    name: String,
    tokens: Range<usize>,
}

fn functions(tokens: &[Token]) -> Vec<Function> {
    let begins = |at: &usize| {
        tokens[*at].is_word("fn") && tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Word)
    };
    let function = |at: usize| {
        let mut body = at + 2;
        while body < tokens.len() && !tokens[body].is("{") && !tokens[body].is(";") {
            body += if tokens[body].is("(") || tokens[body].is("[") {
                group_length(&tokens[body..])
            } else {
                1
            };
        }
        Function {
            name: tokens[at + 1].text.clone(),
            tokens: at..body + group_length(tokens.get(body..).unwrap_or_default()),
        }
    };
    (0..tokens.len()).filter(begins).map(function).collect()
}

/// The call that a word is, with the kinds of points that it needs.
fn effect(file: &File, index: usize) -> Option<(String, &'static [&'static str])> {
    let tokens = &file.tokens;
    let word = &tokens[index];
    let before = |distance: usize| index.checked_sub(distance).map(|at| &tokens[at]);
    if word.kind != Kind::Word
        || !tokens.get(index + 1)?.is("(")
        || before(1).is_some_and(|t| t.is_word("fn"))
    {
        return None;
    }
    let given = &tokens[index + 1..index + 1 + group_length(&tokens[index + 1..])];
    if before(1).is_some_and(|t| t.is(".")) {
        let is_true = given.len() == 3 && given[1].is_word("true");
        let kinds = match word.text.as_str() {
            "write" => Some(if is_true { OPEN } else { WRITE }),
            option if OPENING.contains(&option) => is_true.then_some(OPEN),
            name => METHODS.iter().find(|(method, _)| *method == name).map(|(_, kinds)| *kinds),
        };
        return kinds.map(|kinds| (word.text.clone(), kinds));
    }
    let mut segments = vec![word.text.clone()];
    let mut distance = 1;
    while before(distance).is_some_and(|t| t.is("::")) {
        segments.insert(0, before(distance + 1)?.text.clone());
        distance += 2;
    }
    // What is read into nothing is not written.
    if given.iter().any(|t| t.is_word("sink")) {
        return None;
    }
    let path = file.absolute(&segments).join("::");
    FUNCTIONS
        .iter()
        .find(|(function, _)| *function == path)
        .map(|(_, kinds)| (word.text.clone(), *kinds))
}

/// The names by which this file passes points: `point`, and its own functions that hand on an
/// effect to it.
fn gates<'a>(file: &'a File, functions: &'a [Function]) -> BTreeSet<&'a str> {
    let hands_on = |function: &&Function| {
        let words: Vec<&str> =
            file.tokens[function.tokens.clone()].iter().map(|t| t.text.as_str()).collect();
        words.windows(5).any(|w| w == ["fault", "::", "point", "(", "effect"])
    };
    functions
        .iter()
        .filter(hands_on)
        .map(|function| function.name.as_str())
        .chain(["point"])
        .collect()
}

/// Whether a point of such a kind is passed by these tokens.
fn passes(tokens: &[Token], gates: &BTreeSet<&str>, kinds: &[&str]) -> bool {
    let is_passed = |w: &[Token]| {
        gates.contains(w[0].text.as_str())
            && w[1].is("(")
            && w[2].is_word("Effect")
            && w[3].is("::")
            && kinds.contains(&w[4].text.as_str())
    };
    tokens.windows(5).any(is_passed)
}

/// Effects without a point of their kind before them, and excuses that excuse nothing.
fn effects(sources: &Sources, excused: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = BTreeSet::new();
    let is_looked_at = |file: &&File| {
        file.room() == "system" && !LEFT_OUT.iter().any(|place| super::is_in(file, place))
    };
    for file in sources.files.iter().filter(is_looked_at) {
        let functions = functions(&file.tokens);
        let gates = gates(file, &functions);
        for index in 0..file.tokens.len() {
            let Some((call, kinds)) = effect(file, index) else { continue };
            // The innermost one, which begins last.
            let Some(function) =
                functions.iter().rfind(|function| function.tokens.contains(&index))
            else {
                continue;
            };
            if passes(&file.tokens[function.tokens.start..index], &gates, kinds) {
                continue;
            }
            let own = |(place, name, what, _): &(&str, &str, &str, &str)| {
                file.path.strip_suffix(".rs") == Some(*place)
                    && *name == function.name
                    && *what == call
            };
            match excused.iter().position(own) {
                Some(reason) => drop(used.insert(reason)),
                None => complaints.push(at(
                    file,
                    file.tokens[index].line,
                    &format!(
                        "`{call}` in `{}` passes no fault point {}",
                        function.name,
                        kinds.join(" or ")
                    ),
                )),
            }
        }
    }
    let unused = excused.iter().enumerate().filter(|(index, _)| !used.contains(index));
    complaints.extend(unused.map(|(_, (place, name, what, _))| {
        format!("src/{place}.rs: `{what}` in `{name}` is gone; so may be its excuse")
    }));
    complaints
}

#[test]
fn every_effect_passes_a_fault_point() {
    holds(&effects(&src(), EXCUSED));
}

#[test]
fn planted_effect_without_fault_point_is_found() {
    let planted = Sources::of([(
        "system/files.rs",
        "use std::fs::{self, File};\n\
         use nix::unistd::unlinkat as away;\n\
         fn passing(effect: Effect, path: &Path) { fault::point(effect, path) }\n\
         fn a() { fault::point(Effect::Rename, x)?; fs::rename(a, b) }\n\
         fn b() { passing(Effect::Write, x)?; file.write_all(y); file.sync_all() }\n\
         fn c() { fs::rename(a, b); fault::point(Effect::Rename, x) }\n\
         fn d() { let e = |f: &File| f.set_len(0); fn inner() { away(x) } passing(Effect::Remove, \
         x)?; away(y) }\n\
         fn e() { options.read(true).open(x); options.write(true); io::copy(&mut a, &mut \
         io::sink()); self.write() }\n\
         fn h() { call(link.manager()); fault::point(Effect::Call, x)?; call(link.manager()) }\n\
         #[cfg(test)]\n\
         mod tests { fn f() { fs::write(a, b) } }\n",
    )]);
    let excused =
        [("system/files", "e", "write", "as a test"), ("system/files", "g", "write", "gone")];
    let expected = [
        "files.rs:5: `sync_all`",
        "files.rs:6: `rename`",
        "files.rs:7: `set_len`",
        "files.rs:7: `away`",
        "files.rs:9: `manager`",
        "`write` in `g`",
    ];
    finds(&effects(&planted, &excused), &expected);
}

/// Each function of `system/kernel.rs` that others may call is known as an effect, or as none.
fn kernel_calls(sources: &Sources) -> Vec<String> {
    let kernel = sources.files.iter().filter(|file| file.path == "system/kernel.rs");
    let public = |file: &File| {
        let named = file.tokens.windows(3).filter(|w| w[0].is_word("pub") && w[1].is_word("fn"));
        named.map(|w| (w[2].line, w[2].text.clone())).collect::<Vec<_>>()
    };
    let is_known = |name: &str| {
        HARMLESS.contains(&name)
            || FUNCTIONS
                .iter()
                .any(|(function, _)| function.strip_prefix("crate::system::kernel::") == Some(name))
    };
    let unknown = |file: &File| -> Vec<String> {
        let unknown = public(file).into_iter().filter(|(_, name)| !is_known(name));
        unknown
            .map(|(line, name)| {
                at(
                    file,
                    line,
                    &format!("`{name}` is in no table of tests/suite/architecture/effects.rs"),
                )
            })
            .collect()
    };
    kernel.flat_map(unknown).collect()
}

#[test]
fn every_kernel_call_is_an_effect_or_harmless() {
    holds(&kernel_calls(&src()));
}

#[test]
fn planted_unknown_kernel_call_is_found() {
    let planted = Sources::of([(
        "system/kernel.rs",
        "pub fn inode_flags() {}\nfn own() {}\npub fn swap_off() {}\n",
    )]);
    finds(&kernel_calls(&planted), &["kernel.rs:3: `swap_off`"]);
}
