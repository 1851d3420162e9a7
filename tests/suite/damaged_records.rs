//! A journal or receipt that is garbage: `status` answers, every command that refuses names a cure,
//! and `uninstall` makes the node clean from there.

use std::fs;

use support::build::Build;
use support::faults::{Point, lasting_points, seed, spread};
use support::image::{Image, Serve};
use support::tree::Snapshot;

const JOURNAL: &str = "var/lib/dcos-node/journal";
const RECEIPT: &str = "var/lib/dcos-node/receipt.json";

/// What happened to the records.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// The first line is garbage.
    FirstLine,
    /// Nothing is left of the journal.
    Journal,
    /// Nothing is left of the receipt.
    Receipt,
    /// Of neither.
    Both,
}

/// Damages what is there; false if nothing is.
fn damage(image: &Image, damage: Damage) -> bool {
    let write =
        |path: &str, text: &[u8]| image.has(path) && fs::write(image.at(path), text).is_ok();
    let journal = fs::read(image.at(JOURNAL)).unwrap_or_default();
    let rest = journal.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    match damage {
        Damage::FirstLine => write(JOURNAL, &[b"\0\0\0{\n", &journal[rest..]].concat()),
        Damage::Journal => write(JOURNAL, b"not a journal\n"),
        Damage::Receipt => write(RECEIPT, b"{ \"schema\": 1,\n"),
        Damage::Both => write(JOURNAL, b"\xff\n") && write(RECEIPT, b""),
    }
}

/// How a node came to where it is.
#[derive(Clone, Debug)]
enum Came {
    /// Nothing more happened.
    Installed,
    /// The install was killed there.
    Install(Point),
    /// The uninstall was killed there.
    Uninstall(Point),
}

struct Bench {
    serve: Serve,
    before: Snapshot,
}

impl Bench {
    fn new() -> Bench {
        Bench { serve: Serve::of(&Build::tiny()), before: Image::new().tree() }
    }

    fn install(&self) -> [&str; 4] {
        ["install", "master", "--bootstrap-url", self.serve.url()]
    }

    /// Places of an undisturbed run, as an image has them at `{root}`; of an uninstall, of a node
    /// that this happened to.
    fn points(&self, arguments: &[&str], happened: Option<&dyn Fn(&Image)>) -> Vec<Point> {
        let record = tempfile::NamedTempFile::new().expect("a file");
        let image =
            Image::new().with("DCOS_NODE_FAULTS_RECORD", record.path().to_str().expect("UTF-8"));
        if let Some(happened) = happened {
            image.run(&self.install()).ends(0, &[]);
            happened(&image);
            fs::write(record.path(), "").expect("empty the record");
        }
        image.run(arguments).ends(0, &[]);
        let root = image.path().to_str().expect("UTF-8").to_owned();
        let points = lasting_points(&fs::read_to_string(record.path()).expect("the record"));
        let below = |point: Point| Point { object: point.object.replace(&root, "{root}"), ..point };
        points.into_iter().filter(|point| point.object.starts_with(&root)).map(below).collect()
    }

    fn node(&self, came: &Came) -> Image {
        let (image, killed) = (Image::new(), |point: &Point, image: Image| {
            let fault = point.kill().replace("{root}", image.path().to_str().expect("UTF-8"));
            image.with("DCOS_NODE_FAULT", fault)
        });
        match came {
            Came::Installed => {
                image.run(&self.install()).ends(0, &[]);
                image
            }
            Came::Install(point) => {
                let image = killed(point, image);
                assert_eq!(image.run(&self.install()).code(), None, "{point:?} was not hit");
                image.with("DCOS_NODE_FAULT", "")
            }
            Came::Uninstall(point) => {
                image.run(&self.install()).ends(0, &[]);
                let image = killed(point, image);
                assert_eq!(image.run(&["uninstall"]).code(), None, "{point:?} was not hit");
                image.with("DCOS_NODE_FAULT", "")
            }
        }
    }
}

/// Data stays, as after any uninstall. Where nothing is recorded any more and nothing else stands,
/// nobody knows who made an empty directory that others use too.
fn stays(change: &str, how: Damage) -> bool {
    let shared = ["new /etc/rexray", "new /etc/systemd/journald.conf.d"];
    change.starts_with("new /var/lib/dcos") || (how == Damage::Both && shared.contains(&change))
}

#[test]
fn garbage_record_is_reported_and_uninstall_cleans_the_node() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let begun = bench.points(&bench.install(), None);
    let undone = bench.points(&["uninstall"], Some(&|_| ()));
    let killed = spread(&begun, 4, seed()).into_iter().map(Came::Install);
    let all = [Came::Installed]
        .into_iter()
        .chain(killed)
        .chain(spread(&undone, 4, seed()).into_iter().map(Came::Uninstall));
    let mut tried = 0;
    for (index, came) in all.enumerate() {
        let kinds = [Damage::FirstLine, Damage::Journal, Damage::Receipt, Damage::Both];
        // All of them where the node is whole; of a killed run two, in turn.
        for how in kinds.into_iter().cycle().skip(index).take(if index == 0 { 4 } else { 2 }) {
            let image = bench.node(&came);
            if !damage(&image, how) {
                continue;
            }
            tried += 1;
            let case = format!("{came:?} {how:?}");
            let status = image.run(&["status"]);
            assert!(matches!(status.code(), Some(0 | 7 | 11 | 12)), "{case}");
            status.ends(
                status.code().unwrap_or_default(),
                &[&["damaged: /var/lib/dcos-node/", "dcos-node uninstall"]],
            );
            let standing = image.tree();
            let refused = [
                &bench.install()[..],
                &["fetch", "--bootstrap-url", bench.serve.url()],
                &["adopt"],
                &["verify"],
                &["preflight"],
            ];
            for command in refused.into_iter().filter(|_| index < 2) {
                image.run(command).ends(
                    1,
                    &[
                        &["error: /var/lib/dcos-node/", "is damaged"],
                        &["cure: ", "restore it from a backup"],
                    ],
                );
            }
            image.run(&["uninstall", "--dry-run"]).ends(0, &[]);
            image.equals(&standing);
            image.run(&["uninstall"]).ends(0, &[&["is damaged: this goes by what stands"]]);
            let left: Vec<String> = image
                .tree()
                .changes_since(&bench.before)
                .into_iter()
                .filter(|change| !stays(change, how))
                .collect();
            assert_eq!(left, [] as [&str; 0], "{case}");
            assert!(
                !image.has("var/lib/dcos-node") && !image.has("opt/dcos-node"),
                "{case}: something of ours is left"
            );
            let accounts = fs::read_to_string(image.at("etc/passwd")).expect("accounts");
            assert!(!accounts.contains("dcos_"), "{case}: {accounts}");
            image.run(&["status"]).ends(11, &[]);
        }
    }
    assert!(tried > 8, "only {tried} cases");
}

/// The new journal knows everything from the moment that it stands in the place of the damaged one.
#[test]
fn uninstall_of_a_damaged_journal_resumes_after_any_kill() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let lost = |image: &Image| {
        assert!(damage(image, Damage::Journal) && fs::remove_file(image.at(RECEIPT)).is_ok())
    };
    let points = bench.points(&["uninstall"], Some(&lost));
    let (first, rest) = points.split_at(10);
    assert!(first.iter().any(|point| point.object.ends_with("journal.damaged")), "{first:?}");
    for point in first.iter().cloned().chain(spread(rest, 8, seed())) {
        let image = bench.node(&Came::Installed);
        lost(&image);
        let fault = point.kill().replace("{root}", image.path().to_str().expect("UTF-8"));
        let image = image.with("DCOS_NODE_FAULT", fault);
        assert_eq!(image.run(&["uninstall"]).code(), None, "{point:?} was not hit");
        let image = image.with("DCOS_NODE_FAULT", "");
        image.run(&["uninstall"]).ends(0, &[]);
        let left: Vec<String> = image
            .tree()
            .changes_since(&bench.before)
            .into_iter()
            .filter(|change| !stays(change, Damage::Journal))
            .collect();
        assert_eq!(left, [] as [&str; 0], "{point:?}");
        assert!(
            !image.has("var/lib/dcos-node") && !image.has("opt/dcos-node"),
            "{point:?}: something of ours is left"
        );
    }
}

#[test]
fn damaged_receipt_of_a_whole_node_is_written_anew_by_adopt() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    let image = bench.node(&Came::Installed);
    assert!(damage(&image, Damage::Receipt));
    fs::create_dir(image.at("root")).expect("make a directory");
    let fix = ["mv /var/lib/dcos-node/receipt.json /root/", "dcos-node adopt"];
    image.run(&["verify"]).ends(1, &[&fix]);
    fs::rename(image.at(RECEIPT), image.at("root/receipt.json")).expect("move");
    let installed = image.tree();
    image.run(&["adopt"]).ends(0, &[&["adopted as master"]]);
    image.equals(&installed);
    image.run(&["verify"]).ends(0, &[&["as installed"]]);
    image.run(&["status"]).ends(0, &[]);
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[]);
    fs::remove_dir_all(image.at("root")).expect("remove");
    image.is_as(&bench.before);
    assert!(!image.has("var/lib/dcos-node") && !image.has("opt/dcos-node"));
}
