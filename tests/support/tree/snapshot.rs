//! What stands under a root directory: paths and accounts, with names in place of numbers, and no
//! times.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pattern;

/// What is known of one path, account or unit, by field.
pub type Entry = BTreeMap<String, Value>;

/// Where an install leaves traces.
const AREAS: [&str; 5] = ["/etc", "/opt", "/run/dcos", "/usr", "/var/lib"];

/// What is no file of a running node, or what it goes on writing by itself, whether or not DC/OS
/// comes and goes. Each with what writes it.
const OF_THE_NODE: &[(&str, &str)] = &[
    ("/proc", "the kernel"),
    ("/sys", "the kernel"),
    ("/dev", "the kernel"),
    ("/run/log/journal", "journald"),
    ("/run/systemd/journal/seqnum", "journald of systemd 254 and later"),
    ("/run/systemd/journal/streams", "journald, for each unit that runs"),
    ("/run/systemd/transient", "systemd, for units without a file (systemd-run)"),
    ("/run/systemd/units", "systemd: which run of a unit its journal entries are of"),
    ("/run/utmp", "systemd, at each boot"),
    ("/tmp/systemd-private-*", "systemd, for units with a /tmp of their own"),
    ("/var/log/journal", "journald"),
    ("/var/log/wtmp", "systemd, at each boot"),
    ("/var/tmp/systemd-private-*", "systemd, for units with a /tmp of their own"),
];

/// All paths below the areas at one moment.
pub struct Snapshot {
    /// By path as the node names it. Bytes that are not UTF-8 are replaced: no build has such
    /// names.
    pub paths: BTreeMap<String, Entry>,
}

/// The accounts of a node.
#[derive(Deserialize)]
pub(super) struct Accounts {
    pub(super) users: BTreeMap<String, Entry>,
    pub(super) groups: BTreeMap<String, Entry>,
}

impl Snapshot {
    /// What stands below `root` now.
    pub fn of(root: &Path) -> Snapshot {
        Snapshot::of_areas(root, &AREAS)
    }

    /// All that stands below the root of a running node now, but what the node itself writes.
    pub fn of_running(root: &Path) -> Snapshot {
        let own: Vec<&str> = OF_THE_NODE.iter().map(|(path, _)| *path).collect();
        Snapshot::walk(root, &[""], &own)
    }

    /// The same without one file, which need not be read then.
    pub fn of_all_but(root: &Path, left_out: &str) -> Snapshot {
        Snapshot::walk(root, &AREAS, &[left_out])
    }

    /// What is there, gone or different since an earlier snapshot, one line each.
    pub fn changes_since(&self, before: &Snapshot) -> Vec<String> {
        let new = self.paths.iter().filter(|(name, entry)| before.paths.get(*name) != Some(*entry));
        let new = new.map(|(name, _)| {
            if before.paths.contains_key(name) {
                format!("changed {name}")
            } else {
                format!("new {name}")
            }
        });
        let gone = before
            .paths
            .keys()
            .filter(|name| !self.paths.contains_key(*name))
            .map(|name| format!("gone {name}"));
        new.chain(gone).collect()
    }

    /// What stands below these directories of `root` now.
    pub fn of_areas(root: &Path, areas: &[impl AsRef<str>]) -> Snapshot {
        Snapshot::walk(root, areas, &[])
    }

    fn walk(root: &Path, areas: &[impl AsRef<str>], left_out: &[&str]) -> Snapshot {
        let owners = [numbers(root, "/etc/passwd"), numbers(root, "/etc/group")];
        let mut paths = BTreeMap::new();
        let mut twins: HashMap<(u64, u64), Vec<String>> = HashMap::new();
        let mut todo: Vec<String> = areas.iter().map(|area| area.as_ref().to_owned()).collect();
        while let Some(name) = todo.pop() {
            if left_out.iter().any(|pattern| pattern::matches(pattern, &name)) {
                continue;
            }
            // On a running node files come and go while we look; what is gone is not there.
            let Ok(about) = fs::symlink_metadata(below(root, &name)) else { continue };
            let Ok(entry) = describe(&below(root, &name), &about, &owners) else { continue };
            if about.is_file() && about.nlink() > 1 {
                twins.entry((about.dev(), about.ino())).or_default().push(name.clone());
            }
            if about.is_dir() {
                todo.extend(
                    names_in(&below(root, &name))
                        .into_iter()
                        .map(|inside| format!("{name}/{inside}")),
                );
            }
            paths.insert(name, entry);
        }
        for names in twins.values().filter(|names| names.len() > 1) {
            let first = names.iter().min().expect("more than one");
            for name in names {
                paths
                    .get_mut(name)
                    .expect("it was inserted")
                    .insert("hardlink".to_owned(), json!(first));
            }
        }
        Snapshot { paths }
    }
}

/// Where a path of the node lies for us. Only the last part of it may be a link: the walk does not
/// go through any.
fn below(root: &Path, name: &str) -> PathBuf {
    root.join(name.trim_start_matches('/'))
}

fn names_in(directory: &Path) -> Vec<String> {
    let list = fs::read_dir(directory).into_iter().flatten().flatten();
    list.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The first name of each number.
fn numbers(root: &Path, file: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in lines(root, file) {
        let number = line[2].parse().unwrap_or_else(|error| panic!("{file}: {line:?}: {error}"));
        names.entry(number).or_insert_with(|| line[0].clone());
    }
    names
}

/// The lines of an account file, split into fields; none if there is no such file.
fn lines(root: &Path, file: &str) -> Vec<Vec<String>> {
    let text = fs::read(below(root, file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split(':').map(str::to_owned).collect())
        .collect()
}

/// Everything that is compared about one path.
fn describe(
    path: &Path,
    about: &Metadata,
    [users, groups]: &[HashMap<u32, String>; 2],
) -> io::Result<Entry> {
    let name = |names: &HashMap<u32, String>, number: u32| {
        names.get(&number).cloned().unwrap_or_else(|| number.to_string())
    };
    let mut entry = Entry::from([
        ("owner".to_owned(), json!(name(users, about.uid()))),
        ("group".to_owned(), json!(name(groups, about.gid()))),
    ]);
    let kind = about.file_type();
    let word = match () {
        () if kind.is_symlink() => "symlink",
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_socket() => "socket",
        () if kind.is_fifo() => "fifo",
        () => "device",
    };
    entry.insert("type".to_owned(), json!(word));
    if kind.is_symlink() {
        entry.insert("target".to_owned(), json!(fs::read_link(path)?.to_string_lossy()));
    } else {
        entry.insert(
            "mode".to_owned(),
            json!(format!("{:04o}", about.permissions().mode() & 0o7777)),
        );
    }
    if kind.is_file() {
        entry.insert("size".to_owned(), json!(about.len()));
        entry.insert("sha256".to_owned(), json!(known_digest(path, about)?));
    }
    let attributes = attributes(path);
    if !attributes.is_empty() {
        entry.insert("xattrs".to_owned(), json!(attributes));
    }
    Ok(entry)
}

/// The digest of a file, from an earlier look if the kernel says that it was not touched since.
/// What was touched just now may be touched again within one tick of the kernel's clock, and is
/// read again.
fn known_digest(path: &Path, about: &Metadata) -> io::Result<String> {
    type Identity = (u64, u64, u64, i64, i64);
    static KNOWN: Mutex<BTreeMap<Identity, String>> = Mutex::new(BTreeMap::new());
    let identity = (about.dev(), about.ino(), about.len(), about.ctime(), about.ctime_nsec());
    if let Some(known) = KNOWN.lock().expect("no test panics while it looks").get(&identity) {
        return Ok(known.clone());
    }
    let touched = SystemTime::UNIX_EPOCH + Duration::new(about.ctime().unsigned_abs(), 0);
    let digest = digest(path)?;
    if touched.elapsed().is_ok_and(|age| age > Duration::from_secs(3)) {
        KNOWN.lock().expect("no test panics while it looks").insert(identity, digest.clone());
    }
    Ok(digest)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut sum = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hexadecimal(&sum.finalize())),
            read => sum.update(&block[..read]),
        }
    }
}

/// Extended attributes of the path itself, in hexadecimal; none where there can be none.
fn attributes(path: &Path) -> BTreeMap<String, String> {
    let mut list = vec![0; 1 << 16];
    let mut value = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let one = |name: &[u8]| {
        let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
        Some((String::from_utf8_lossy(name).into_owned(), hexadecimal(&value[..length])))
    };
    names.filter_map(one).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a regular file of the node.
pub(super) fn text(root: &Path, name: &str) -> String {
    fs::read_to_string(below(root, name))
        .unwrap_or_else(|error| panic!("read {name} of the node: {error}"))
}

/// Users and groups, without the numbers, which differ from run to run.
pub(super) fn accounts(root: &Path) -> Accounts {
    let group_names = numbers(root, "/etc/group");
    let is_system = |number: &str| number.parse::<u32>().is_ok_and(|number| number < 1000);
    let mut users = BTreeMap::new();
    for line in lines(root, "/etc/passwd") {
        let group =
            line[3].parse().ok().and_then(|number| group_names.get(&number)).unwrap_or(&line[3]);
        let user = json!({
            "group": group, "gecos": line[4], "home": line[5], "shell": line[6],
            "system": is_system(&line[2]),
        });
        users.insert(line[0].clone(), entry(user));
    }
    for line in lines(root, "/etc/shadow") {
        if let Some(user) = users.get_mut(&line[0]) {
            user.insert("password".to_owned(), json!(line[1]));
        }
    }
    let mut groups = BTreeMap::new();
    for line in lines(root, "/etc/group") {
        let mut members: Vec<&str> =
            line[3].split(',').filter(|member| !member.is_empty()).collect();
        members.sort_unstable();
        groups.insert(
            line[0].clone(),
            entry(json!({ "members": members, "system": is_system(&line[2]) })),
        );
    }
    Accounts { users, groups }
}

fn entry(value: Value) -> Entry {
    serde_json::from_value(value).expect("an object")
}
