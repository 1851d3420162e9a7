//! How fast a build gets from a server onto a node: the classic way, `dcos-node fetch`, and what
//! the machine could do at best, side by side.
//!
//! `make bench` runs it. Everything is made on the spot: a build of packages from files of this
//! machine, nginx to serve it. Ratios count, not seconds: rounds of all three are interleaved, and
//! the middle one of each is taken. See docs/bench.md.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench runs programs and prints"
)]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dcos_node::system::archive;

type Failure = Box<dyn std::error::Error>;
type Outcome<T> = Result<T, Failure>;

/// A build has so many packages; those of a larger one are the same archives under other names.
const PACKAGES: usize = 24;
/// Where files for the packages come from.
const FILES: [&str; 4] = ["/usr/lib", "/usr/share", "/usr/bin", "/usr/include"];

fn main() -> Outcome<()> {
    let wish = Wish::read();
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    println!("program: {}", wish.program.display());
    println!(
        "processors: {}; rounds: {}; load: {}",
        processors(),
        wish.rounds,
        fs::read_to_string("/proc/loadavg")?.trim()
    );
    make_archives(&directory, wish.megabytes)?;
    for place in &wish.places {
        println!("\nthe node's /opt on {} ({})", place.display(), file_system(place)?);
        println!("form  packages    MB      way            wall s  CPU s   peak MB");
        let mut xz_classic = None;
        for form in ["xz", "zst"] {
            let build = Serve::make(&directory, form, PACKAGES)?;
            let middle = rounds(&wish, &build, place)?;
            report(form, PACKAGES, &build, &middle);
            let [classic, ours, _, _] = middle;
            xz_classic.get_or_insert(classic.wall);
            if let (Some(classic), "zst") = (xz_classic, form) {
                println!("      classic on xz / ours on zstd: {:.2}", classic / ours.wall);
            }
        }
        for times in [2, 4] {
            let build = Serve::make(&directory, "xz", PACKAGES * times)?;
            let ours = fetch(&wish.program, &build, place)?;
            line("xz", PACKAGES * times, &build, "ours", &ours);
        }
    }
    if !wish.keep {
        fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

/// What is to be measured.
struct Wish {
    program: PathBuf,
    places: Vec<PathBuf>,
    rounds: usize,
    megabytes: u64,
    keep: bool,
}

impl Wish {
    /// From the environment, as `make bench` sets it.
    fn read() -> Wish {
        let text =
            |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
        Wish {
            program: text("BENCH_PROGRAM", env!("CARGO_BIN_EXE_dcos-node")).into(),
            places: text("BENCH_PLACES", "/dev/shm /var/tmp")
                .split_whitespace()
                .map(PathBuf::from)
                .collect(),
            rounds: text("BENCH_ROUNDS", "3").parse().unwrap_or(3),
            megabytes: text("BENCH_MEGABYTES", "300").parse().unwrap_or(300),
            keep: std::env::var_os("BENCH_KEEP").is_some(),
        }
    }
}

/// What one way took.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak: u64,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn file_system(place: &Path) -> Outcome<String> {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(place).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Packages of about the same length, sorted out of this machine's files. Made once.
fn make_archives(directory: &Path, megabytes: u64) -> Outcome<()> {
    let done = directory.join("done");
    if done.exists() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    // Programs and libraries shrink to about a third.
    let each = megabytes * 3_000_000 / PACKAGES as u64;
    let mut lists = vec![(0_u64, Vec::new()); PACKAGES];
    let mut at = 0;
    for place in FILES {
        collect(Path::new(place), &mut |path, bytes| {
            while at < PACKAGES && lists[at].0 >= each {
                at += 1;
            }
            // One that is larger would make its package the longest work of all.
            if let Some((sum, list)) = lists.get_mut(at).filter(|_| bytes <= each) {
                *sum += bytes;
                list.push(path);
            }
        });
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| -> Outcome<()> {
        let workers: Vec<_> = (0..processors())
            .map(|_| scope.spawn(|| pack_some(directory, &lists, &next).map_err(|e| e.to_string())))
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a packer panicked")??;
        }
        Ok(())
    })?;
    File::create(done)?;
    Ok(())
}

fn pack_some(directory: &Path, lists: &[(u64, Vec<PathBuf>)], next: &AtomicUsize) -> Outcome<()> {
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        let Some((_, list)) = lists.get(index) else { return Ok(()) };
        let tar = directory.join(format!("{index}.tar"));
        let mut builder = tar::Builder::new(io::BufWriter::new(File::create(&tar)?));
        let info = b"{\"requires\": [], \"environment\": {}}";
        let mut header = tar::Header::new_gnu();
        header.set_size(info.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, "pkginfo.json", &info[..])?;
        for path in list {
            builder.append_path_with_name(path, path.strip_prefix("/")?)?;
        }
        builder.into_inner()?.flush()?;
        run(Command::new("xz").args(["-6", "-k", "-f"]).arg(&tar))?;
        // As `publish --recompress zstd` does.
        run(Command::new("zstd").args(["-q", "-12", "-f"]).arg(&tar))?;
    }
}

/// Ordinary files that everybody may read, one after another.
fn collect(directory: &Path, each: &mut dyn FnMut(PathBuf, u64)) {
    let Ok(listed) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => collect(&path, each),
            Ok(found) if found.is_file() && found.nlink() == 1 && found.mode() & 0o7004 == 0o4 => {
                each(path, found.len())
            }
            _ => {}
        }
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// A serve directory with nginx before it.
struct Serve {
    url: String,
    directory: PathBuf,
    archives: Vec<PathBuf>,
    /// What each archive holds, not compressed.
    plain: Vec<PathBuf>,
    bytes: u64,
    nginx: Child,
}

impl Serve {
    /// Lays out a classic serve directory of links to the archives.
    fn make(archives: &Path, form: &str, packages: usize) -> Outcome<Serve> {
        let directory = archives.join(format!("serve-{form}-{packages}"));
        let _ = fs::remove_dir_all(&directory);
        for name in ["bootstrap", "package_lists", "packages"] {
            fs::create_dir_all(directory.join(name))?;
        }
        let id = "0".repeat(40);
        let (mut ids, mut made, mut plain, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for index in 0..packages {
            let (name, version) = (format!("bench{index}"), format!("{index:040}"));
            let place = directory.join("packages").join(&name);
            fs::create_dir_all(&place)?;
            let archive = place.join(format!("{name}--{version}.tar.xz"));
            let real = archives.join(format!("{}.tar.{form}", index % PACKAGES));
            bytes += fs::metadata(&real)?.len();
            fs::hard_link(real, &archive)?;
            ids.push(format!("{name}--{version}"));
            made.push(archive);
            plain.push(archives.join(format!("{}.tar", index % PACKAGES)));
        }
        // The bootstrap archive holds one small package.
        let small = directory.join("small");
        let package = small.join("packages/bootstrap--0000000000000000000000000000000000000000");
        fs::create_dir_all(&package)?;
        fs::write(package.join("pkginfo.json"), "{\"requires\": [], \"environment\": {}}")?;
        let archive = directory.join(format!("bootstrap/{id}.bootstrap.tar.xz"));
        run(Command::new("tar").arg("-cJf").arg(&archive).arg("-C").arg(&small).arg("packages"))?;
        fs::remove_dir_all(&small)?;
        let text = |path: &str, content: String| fs::write(directory.join(path), content);
        text(&format!("bootstrap/{id}.active.json"), format!("[\"bootstrap--{id}\"]"))?;
        text(
            &format!("package_lists/{id}.package_list.json"),
            format!("[\"{}\"]", ids.join("\", \"")),
        )?;
        text("bootstrap.latest", id.clone())?;
        text("cluster-package-list.latest", id.clone())?;
        let script = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dcos_install.sh.in"),
        )?;
        let script = script
            .replace("@MORE_NODE_FILES@\n", "")
            .replace("@BOOTSTRAP_URL@", "http://127.0.0.1");
        text(
            "dcos_install.sh",
            script.replace("@BOOTSTRAP_ID@", &id).replace("@PACKAGE_LIST_ID@", &id),
        )?;
        let (url, nginx) = nginx(archives, &directory)?;
        Ok(Serve { url, directory, archives: made, plain, bytes, nginx })
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn nginx(archives: &Path, directory: &Path) -> Outcome<(String, Child)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (at, root) = (archives.display(), directory.display());
    let configuration = archives.join("nginx.conf");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/tmp;"))
        .concat();
    let text = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/nginx.log; events \
         {{}}\n\
         http {{ access_log off; sendfile on; {temporary} server {{ listen 127.0.0.1:{port}; root \
         {root}; }} }}\n"
    );
    fs::write(&configuration, text)?;
    let mut child = Command::new("nginx")
        .arg("-e")
        .arg(archives.join("nginx.log"))
        .arg("-c")
        .arg(&configuration)
        .spawn()?;
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok((format!("http://127.0.0.1:{port}"), child));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let _ = child.kill();
    Err("nginx does not listen".into())
}

/// The middle of several rounds of each way: classic, ours, decoding alone, writing alone.
fn rounds(wish: &Wish, build: &Serve, place: &Path) -> Outcome<[Cost; 4]> {
    let mut all: [Vec<Cost>; 4] = Default::default();
    for _ in 0..wish.rounds {
        all[0].push(classic(build, place)?);
        all[1].push(fetch(&wish.program, build, place)?);
        all[2].push(decode_all(build)?);
        all[3].push(write_all(build, place)?);
    }
    Ok(all.map(|mut costs| {
        costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
        costs[costs.len() / 2]
    }))
}

fn report(form: &str, packages: usize, build: &Serve, [classic, ours, decode, write]: &[Cost; 4]) {
    for (way, cost) in
        [("classic", classic), ("ours", ours), ("decode only", decode), ("write only", write)]
    {
        line(form, packages, build, way, cost);
    }
    // A disk writes while the processors decode; memory is written by the processors themselves.
    let (beside, behind) = (decode.wall.max(write.wall), decode.wall + write.wall);
    println!(
        "      classic / ours: wall {:.2}, CPU {:.2}; ours / limit: {:.2} of decoding beside \
         writing, {:.2} of decoding and writing",
        classic.wall / ours.wall,
        classic.cpu / ours.cpu,
        ours.wall / beside,
        ours.wall / behind
    );
}

fn line(form: &str, packages: usize, build: &Serve, way: &str, cost: &Cost) {
    let (megabytes, peak) = (build.bytes / 1_000_000, cost.peak / 1_000_000);
    println!(
        "{form:<5} {packages:>8}  {megabytes:>4}      {way:<12} {:>8.1} {:>6.1} {peak:>9}",
        cost.wall, cost.cpu
    );
}

/// A fresh directory that becomes the node; writing back what others left is not our time.
fn node(place: &Path) -> Outcome<tempfile::TempDir> {
    nix::unistd::sync();
    Ok(tempfile::Builder::new().prefix("dcos-node-bench").tempdir_in(place)?)
}

/// curl to a file, then tar, one package after another, as pkgpanda does it.
fn classic(build: &Serve, place: &Path) -> Outcome<Cost> {
    let node = node(place)?;
    measured(|| {
        for archive in &build.archives {
            let path = archive.strip_prefix(&build.directory)?;
            let (file, package) = (
                node.path().join("archive"),
                node.path().join(path.file_stem().unwrap_or_default()),
            );
            run(Command::new("curl").args(["-s", "-f", "-o"]).arg(&file).arg(format!(
                "{}/{}",
                build.url,
                path.display()
            )))?;
            fs::create_dir(&package)?;
            run(Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&package))?;
        }
        Ok(0)
    })
}

fn fetch(program: &Path, build: &Serve, place: &Path) -> Outcome<Cost> {
    let node = node(place)?;
    measured(|| {
        let mut command = Command::new(program);
        command
            .args(["fetch", "-q", "--bootstrap-url", &build.url, "--root"])
            .arg(node.path())
            .env_remove("http_proxy");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let (status, peak) = wait(child)?;
        if std::process::ExitStatus::from_raw(status).success() {
            Ok(peak)
        } else {
            Err(format!("{command:?}: {status}").into())
        }
    })
}

/// All archives through the same decoder on all processors; what comes out is thrown away.
fn decode_all(build: &Serve) -> Outcome<Cost> {
    measured(|| {
        on_all(&build.archives, |archive| {
            let mut decoder = archive::decode(File::open(archive)?, 96 << 20)?;
            io::copy(&mut decoder, &mut io::sink())?;
            Ok(())
        })?;
        Ok(0)
    })
}

/// The files alone, unpacked by `tar` from archives that are not compressed, on all processors, and
/// made durable by one sync.
fn write_all(build: &Serve, place: &Path) -> Outcome<Cost> {
    // Read before, as the other ways find their archives in the page cache.
    build
        .plain
        .iter()
        .try_for_each(|plain| io::copy(&mut File::open(plain)?, &mut io::sink()).map(drop))?;
    let node = node(place)?;
    measured(|| {
        on_all(&build.plain, |plain| {
            let package = node.path().join(plain.file_name().unwrap_or_default());
            fs::create_dir(&package)?;
            run(Command::new("tar").arg("-xf").arg(plain).arg("-C").arg(&package))
        })?;
        run(Command::new("sync").arg("-f").arg(node.path()))?;
        Ok(0)
    })
}

fn on_all(archives: &[PathBuf], work: impl Fn(&Path) -> Outcome<()> + Sync) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<(), String> {
        while let Some(archive) = archives.get(next.fetch_add(1, Ordering::SeqCst)) {
            work(archive).map_err(|e| format!("{}: {e}", archive.display()))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors()).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    Ok(())
}

/// Wall time and processor time of this process and its children while `work` runs; `work` gives
/// the peak memory, in bytes.
fn measured(work: impl FnOnce() -> Outcome<u64>) -> Outcome<Cost> {
    let (cpu, start) = (cpu()?, Instant::now());
    let peak = work()?;
    Ok(Cost { wall: start.elapsed().as_secs_f64(), cpu: self::cpu()? - cpu, peak })
}

/// Seconds of processor time of this process and of all its children that have ended.
fn cpu() -> Outcome<f64> {
    let mut text = String::new();
    File::open("/proc/self/stat")?.read_to_string(&mut text)?;
    // After the name in parentheses: user and system time of the process and of its children are
    // the 12th to 15th fields.
    let fields = text
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace())
        .ok_or("no /proc/self/stat")?;
    let ticks: u64 = fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

/// Waits for a child, looking at the most memory that it had. Returns its status as wait(2) gives
/// it, and bytes.
fn wait(mut child: Child) -> Outcome<(i32, u64)> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status.into_raw(), peak));
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        peak = peak.max(line.unwrap_or_default() * 1024);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
