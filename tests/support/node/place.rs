//! Where nodes and servers keep their files, whose turn it is, and clearing away what a dead test
//! process left.
//!
//! Everything lies in one directory outside the checkout: the Debian root (see `debian`), `turns/`
//! with one lock a turn, and `run/<process>/<id>/` for each node and server. The id is also the
//! name of its network namespace and of its cgroups, so that whoever finds the directory of a dead
//! process can end everything that belongs to it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{env, process};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{cgroups, network, outcome};

/// The directory of everything; `DCOS_NODE_TEST_CACHE` names another one.
pub fn cache() -> PathBuf {
    env::var_os("DCOS_NODE_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/cache/dcos-node-tests"), PathBuf::from)
}

/// A lock file in the cache, opened and not yet locked. The kernel drops the lock when its holder
/// dies.
pub(super) fn lock_file(name: &str) -> File {
    let path = cache().join(name);
    fs::create_dir_all(path.parent().expect("a path below the cache"))
        .unwrap_or_else(|error| panic!("make the directory of {path:?}: {error}"));
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("open {path:?}: {error}"))
}

/// The directory of this process below `run/`, locked as long as it lives.
struct Run {
    directory: PathBuf,
    _lock: File,
}

static RUN: Mutex<Weak<Run>> = Mutex::new(Weak::new());

impl Run {
    fn of_this_process() -> Arc<Run> {
        let mut known = RUN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = known.upgrade() {
            return run;
        }
        let _announcing = announcing();
        clear_dead_runs();
        let name = format!("run/{}-{}", process::id(), &unique()[..4]);
        let lock = lock_file(&format!("{name}/lock"));
        lock.lock().expect("lock our own directory");
        let run = Arc::new(Run { directory: cache().join(name), _lock: lock });
        *known = Arc::downgrade(&run);
        run
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// 128 random bits in hexadecimal, which is also the form of a machine id.
pub(super) fn unique() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
        .expect("read a random number")
        .trim()
        .replace('-', "")
}

/// The directory and the id of one node or server. Dropping it ends what still runs under the id
/// and removes everything.
pub(super) struct Place {
    id: String,
    directory: PathBuf,
    _run: Arc<Run>,
}

impl Place {
    pub(super) fn new(name: &str) -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let run = Run::of_this_process();
        let run_name =
            run.directory.file_name().expect("the name of a run").to_string_lossy().into_owned();
        let id = format!("dcos-node-{run_name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = run.directory.join(&id);
        fs::create_dir(&directory)
            .unwrap_or_else(|error| panic!("make {directory:?} for {name}: {error}"));
        Place { id, directory, _run: run }
    }

    /// A directory in memory. On a disk, making a node out of thousands of files just after
    /// thousands were removed takes seconds, most of all on ext4 without a journal, which shuns the
    /// inodes that it has just freed.
    pub(super) fn in_memory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path)
            .and_then(|()| {
                Ok(mount(Some("node"), &path, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?)
            })
            .unwrap_or_else(|error| panic!("mount {path:?}: {error}"));
        path
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.id, &self.directory) {
            // Not a panic: another one may be under way, and the next run tries again.
            eprintln!("{}: not everything could be cleared away: {error}", self.id);
        }
    }
}

/// Ends and removes what test processes that are gone left behind. Each test process does so before
/// its first node.
pub fn clear_leftovers() {
    clear_leftovers_while(announcing());
}

/// The same for who holds that already.
pub fn clear_leftovers_while(_announcing: File) {
    clear_dead_runs();
}

/// One process at a time looks for the dead and announces itself: a directory that is not locked
/// yet is not a dead one's. Nobody clears anything away as long as this is held.
pub fn announcing() -> File {
    let lock = lock_file("run.lock");
    lock.lock().expect("lock the list of runs");
    lock
}

fn clear_dead_runs() {
    for run in entries(&cache().join("run")) {
        let Ok(lock) = File::open(run.join("lock")) else {
            let _ = fs::remove_dir(&run);
            continue;
        };
        if lock.try_lock().is_err() {
            continue;
        }
        for place in entries(&run).into_iter().filter(|place| place.is_dir()) {
            let id = place.file_name().expect("the name of a place").to_string_lossy().into_owned();
            if let Err(error) = clear(&id, &place) {
                eprintln!(
                    "{id}: left by a test that was killed, and cannot be cleared away: {error}"
                );
            }
        }
        let _ = fs::remove_dir_all(&run);
    }
}

/// Ends every process of the id and removes its namespace, its cgroups and its directory. Works for
/// the living and the dead.
fn clear(id: &str, directory: &Path) -> io::Result<()> {
    let began = Instant::now();
    loop {
        let mut processes = network::processes(id);
        processes
            .extend(cgroups::existing(id).iter().flat_map(|cgroup| cgroups::processes(cgroup)));
        if processes.is_empty() {
            break;
        }
        if began.elapsed() > Duration::from_secs(120) {
            return Err(io::Error::other(format!("the processes {processes:?} do not end")));
        }
        for process in processes {
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if Path::new("/run/netns").join(id).exists() {
        outcome::attempt(Command::new("ip").args(["netns", "delete", id]));
    }
    for cgroup in cgroups::existing(id) {
        cgroups::remove(&cgroup)?;
    }
    // Only what we mounted ourselves is mounted below it: a node's own mounts are in its own
    // namespace.
    for path in entries(directory) {
        if path.is_dir() && path.metadata()?.dev() != directory.metadata()?.dev() {
            umount2(&path, MntFlags::MNT_DETACH)?;
        }
    }
    fs::remove_dir_all(directory)
}

/// What lies in a directory; nothing if it does not exist.
pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|list| list.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

/// The right to have nodes. There are two on a machine, so that two cores are not asked for more
/// than they can do; a test has one.
pub(super) struct Turn {
    _lock: File,
}

impl Turn {
    /// The turn of the test that runs on this thread; waits for it if two others have theirs.
    pub(super) fn of_this_test() -> Arc<Turn> {
        thread_local! {
            static OURS: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
        }
        OURS.with_borrow_mut(|ours| {
            ours.upgrade().unwrap_or_else(|| {
                let turn = Arc::new(Turn::wait());
                *ours = Arc::downgrade(&turn);
                turn
            })
        })
    }

    fn wait() -> Turn {
        // One waits for the turns and the others for that one, so that nobody who came early is
        // passed by for ever.
        let next = lock_file("turns/next");
        next.lock().expect("queue up for a turn");
        let locks = ["turns/1", "turns/2"].map(lock_file);
        let began = Instant::now();
        loop {
            for lock in &locks {
                if lock.try_lock().is_ok() {
                    return Turn { _lock: lock.try_clone().expect("a second handle") };
                }
            }
            assert!(
                began.elapsed() < Duration::from_secs(7200),
                "two other tests have had nodes for two hours"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
