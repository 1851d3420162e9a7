use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

fn last_lines(
    directories: &[PathBuf],
    unit: &str,
    count: usize,
    since: Option<Since>,
) -> Result<Vec<Line>, Error> {
    super::last_lines(directories, unit, count, since).map(|log| log.lines)
}

fn last_lines_with(
    directories: &[PathBuf],
    field: &str,
    value: &str,
    count: usize,
) -> Result<Vec<Line>, Error> {
    super::last_lines_with(directories, field, value, count).map(|log| log.lines)
}

const FIXTURES: [&str; 3] = ["252-zstd-compact", "257-xz", "257-lz4-compact"];
const UNITS: [&str; 3] = ["demo.service", "binary.service", "fails.service"];
const MACHINE: &str = "0123456789abcdef0123456789abcdef";

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal").join(name).join(file)
}

fn journal(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = fs::read(fixture(name, "system.journal.xz")).unwrap();
    io::Read::read_to_end(&mut liblzma::bufread::XzDecoder::new(&packed[..]), &mut bytes).unwrap();
    bytes
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name, "expected.json")).unwrap()).unwrap()
}

fn expected_lines(unit: &Value) -> Vec<Line> {
    let line = |row: &Value| Line {
        realtime: SystemTime::UNIX_EPOCH + Duration::from_micros(row[0].as_u64().unwrap()),
        identifier: row[2].as_str().unwrap().to_owned(),
        priority: row[3].as_u64().map(|priority| priority.try_into().unwrap()),
        message: row[4].as_str().unwrap().to_owned(),
    };
    unit.as_array().unwrap().iter().map(line).collect()
}

/// A journal directory with these files, by their path.
fn journal_dir(files: &[(&str, &[u8])]) -> (TempDir, Vec<PathBuf>) {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let directories = vec![root.path().to_owned(), root.path().join("does-not-exist")];
    (root, directories)
}

#[test]
fn reads_what_journalctl_reads() {
    for name in FIXTURES {
        let expected = expected(name);
        let (_root, directories) =
            journal_dir(&[(&format!("{MACHINE}/system.journal"), &journal(name))]);
        for unit in UNITS {
            let all = expected_lines(&expected[unit]);
            assert!(all.len() > 4);
            for count in [0, 1, 3, all.len(), usize::MAX] {
                let lines = last_lines(&directories, unit, count, None).unwrap();
                assert_eq!(lines, all[all.len() - count.min(all.len())..], "{name} {unit} {count}");
            }
        }
        assert_eq!(last_lines(&directories, "demo.servic", 9, None).unwrap(), []);
        assert_eq!(last_lines(&directories, "", 9, None).unwrap(), []);
    }
}

#[test]
fn entries_are_found_by_a_field_too() {
    for name in FIXTURES {
        let (_root, directories) =
            journal_dir(&[(&format!("{MACHINE}/system.journal"), &journal(name))]);
        let of_unit = expected_lines(&expected(name)["demo.service"]);
        let identifier = of_unit
            .iter()
            .map(|line| line.identifier.as_str())
            .find(|word| *word != "systemd")
            .unwrap();
        let found =
            last_lines_with(&directories, "SYSLOG_IDENTIFIER", identifier, usize::MAX).unwrap();
        assert!(found.iter().all(|line| line.identifier == identifier), "{name}: {found:?}");
        let theirs: Vec<&Line> =
            of_unit.iter().filter(|line| line.identifier == identifier).collect();
        assert!(
            !theirs.is_empty() && theirs.iter().all(|line| found.contains(line)),
            "{name}: {theirs:?} are not all in {found:?}"
        );
        assert_eq!(
            last_lines_with(&directories, "SYSLOG_IDENTIFIER", identifier, 1).unwrap(),
            found[found.len() - 1..]
        );
        assert_eq!(last_lines_with(&directories, "SYSLOG_IDENTIFIER", "dcos-node", 9).unwrap(), []);
    }
}

#[test]
fn the_long_line_of_a_fixture_is_compressed() {
    for name in FIXTURES {
        let long = expected_lines(&expected(name)["demo.service"])
            .into_iter()
            .map(|line| line.message)
            .max_by_key(String::len)
            .unwrap();
        assert!(
            !journal(name).windows(long.len()).any(|window| window == long.as_bytes()),
            "{name}"
        );
    }
}

#[test]
fn older_entries_are_ignored() {
    for name in FIXTURES {
        let expected = expected(name);
        let (_root, directories) = journal_dir(&[("system.journal", &journal(name))]);
        let rows = expected["demo.service"].as_array().unwrap();
        let all = expected_lines(&expected["demo.service"]);
        let boot_id =
            u128::from_str_radix(expected["boot"].as_str().unwrap(), 16).unwrap().to_be_bytes();
        let time_of = |row: &Value| row[1].as_u64().unwrap();
        for micros in
            [0, time_of(&rows[5]), time_of(&rows[5]) + 1, time_of(&rows[rows.len() - 1]), u64::MAX]
        {
            let since = Some(Since { boot_id, monotonic: Duration::from_micros(micros) });
            // journald gives one time to all that it receives at once.
            let older = rows.iter().filter(|row| time_of(row) < micros).count();
            assert_eq!(
                last_lines(&directories, "demo.service", 1000, since).unwrap(),
                all[older..],
                "{name} {micros}"
            );
        }
        let since = Some(Since::this_boot(Duration::ZERO).unwrap());
        assert_eq!(last_lines(&directories, "demo.service", 1000, since).unwrap(), []);
    }
}

#[test]
fn archived_torn_and_duplicate_files_are_merged() {
    let [first, second] = [FIXTURES[1], FIXTURES[0]]
        .map(|name| (journal(name), expected_lines(&expected(name)["demo.service"])));
    let (_root, mut directories) = journal_dir(&[
        (&format!("{MACHINE}/system.journal"), &second.0),
        (&format!("{MACHINE}/system@0005f0-1.journal~"), &first.0),
        (&format!("{MACHINE}/system@0005f0-2.journal"), &second.0),
        (&format!("{MACHINE}/readme.txt"), b"no journal"),
        ("remote/remote-elsewhere.journal", &first.0),
        ("empty.journal", b""),
        ("text.journal", &[b'x'; 4096]),
    ]);
    directories.push(directories[0].join(MACHINE));
    let mut all = [first.1, second.1].concat();
    all.sort_by_key(|line| line.realtime);
    assert_eq!(last_lines(&directories, "demo.service", 1000, None).unwrap(), all);
    assert_eq!(last_lines(&directories, "demo.service", 5, None).unwrap(), all[all.len() - 5..]);
}

#[test]
fn files_of_unknown_format_are_reported_beside_known_ones() {
    for flag in [32, 64, 128] {
        let mut later = journal(FIXTURES[0]);
        later[12] |= flag;
        let flags = later[12];
        let (root, directories) = journal_dir(&[("system.journal", &later)]);
        let log = super::last_lines(&directories, "demo.service", 5, None).unwrap();
        let path = root.path().join("system.journal");
        let unknown =
            [UnknownFormat { path: path.clone(), flags: format!("incompatible flags {flags:#x}") }];
        assert_eq!((&log.lines[..], &log.unknown[..]), (&[][..], &unknown[..]));
        assert_eq!(
            log.note("journalctl -u demo.service").unwrap(),
            format!(
                "1 journal file has an unknown format (incompatible flags {flags:#x}); \
                 lines may be missing, use journalctl -u demo.service: {}",
                path.display()
            )
        );

        fs::write(root.path().join("older.journal"), journal(FIXTURES[0])).unwrap();
        let log = super::last_lines(&directories, "demo.service", 5, None).unwrap();
        assert_eq!((log.lines.len(), &log.unknown[..]), (5, &unknown[..]));

        fs::write(root.path().join("another.journal"), &later).unwrap();
        let log = super::last_lines_with(&directories, "_PID", "1", 5).unwrap();
        assert_eq!((log.lines.len(), log.unknown.len()), (5, 2));
        let note = log.note("journalctl").unwrap();
        assert!(note.starts_with("2 journal files have an unknown format"), "{note}");
        assert!(note.ends_with("another.journal, and others"), "{note}");

        fs::remove_file(&path).unwrap();
        fs::remove_file(root.path().join("another.journal")).unwrap();
        let log = super::last_lines(&directories, "demo.service", 5, None).unwrap();
        assert_eq!((log.lines.len(), log.note("journalctl")), (5, None));
    }
}

#[test]
fn unknown_compression_of_one_line_is_reported() {
    for (name, known) in FIXTURES.into_iter().zip([4, 1, 2]) {
        let mut bytes = journal(name);
        // Objects of data: kind, flags, six reserved bytes, at a multiple of eight.
        let compressed: Vec<usize> = (272..bytes.len() - 8)
            .step_by(8)
            .filter(|&at| bytes[at..at + 8] == [1, known, 0, 0, 0, 0, 0, 0])
            .collect();
        assert!(!compressed.is_empty(), "{name}");
        for at in compressed {
            bytes[at + 1] = 8;
        }
        let (root, directories) = journal_dir(&[("system.journal", &bytes)]);
        let log = super::last_lines(&directories, "demo.service", usize::MAX, None).unwrap();
        let all = expected_lines(&expected(name)["demo.service"]).len();
        assert!(!log.lines.is_empty() && log.lines.len() < all, "{name}: {}", log.lines.len());
        let path = root.path().join("system.journal");
        assert_eq!(log.unknown, [UnknownFormat { path, flags: "object flags 0x8".into() }]);
    }
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn damage_never_panics_or_loops() {
    const ROUNDS: usize = 150;
    for (seed, name) in (1..).zip(FIXTURES) {
        let original = journal(name);
        // Most of a journal file is empty tables: damage what matters.
        let words: Vec<usize> = (0..original.len() / 8)
            .map(|word| word * 8)
            .filter(|&at| original[at..at + 8] != [0; 8])
            .collect();
        let (root, directories) = journal_dir(&[("system.journal", &original)]);
        let file = OpenOptions::new().write(true).open(root.path().join("system.journal")).unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut found = 0;
        for _ in 0..ROUNDS {
            let damaged: Vec<usize> =
                (0..1 + random.below(60)).map(|_| words[random.below(words.len())]).collect();
            for &at in &damaged {
                if random.below(2) == 0 {
                    file.write_all_at(&[random.below(256) as u8], (at + random.below(8)) as u64)
                        .unwrap();
                } else {
                    // Another offset of this file, most likely: links to the wrong object, and
                    // loops.
                    let from = words[random.below(words.len())];
                    file.write_all_at(&original[from..from + 8], at as u64).unwrap();
                }
            }
            for unit in UNITS {
                found += last_lines(&directories, unit, 20, None).map_or(0, |lines| lines.len());
            }
            for at in damaged {
                file.write_all_at(&original[at..at + 8], at as u64).unwrap();
            }
        }
        // Most of such damage is elsewhere, so the reader must have found most lines.
        assert!(found > ROUNDS * 20, "{name}: {found}");
        assert_eq!(
            last_lines(&directories, "demo.service", 20, None).unwrap().len(),
            20,
            "the damage was not undone"
        );
    }
}

#[test]
fn a_cut_file_gives_what_is_left() {
    let original = journal(FIXTURES[0]);
    let used = original.iter().rposition(|&byte| byte != 0).unwrap();
    let (root, directories) = journal_dir(&[("system.journal", &original)]);
    let mut file = OpenOptions::new().write(true).open(root.path().join("system.journal")).unwrap();
    let mut random = Random(42);
    let mut counts = Vec::new();
    for cut in (0..40).map(|_| random.below(used)).chain([0, 7, 8, 207, 208, 272, used - 1]) {
        file.set_len(cut as u64).unwrap();
        counts.push(last_lines(&directories, "demo.service", 1000, None).unwrap().len());
        file.rewind().unwrap();
        file.write_all(&original).unwrap();
    }
    assert!(counts.contains(&0) && counts.iter().any(|&count| count > 5), "{counts:?}");
}
