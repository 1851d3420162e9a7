//! The bodies of `fuzz/` over a corpus and over a fixed number of changed copies of it: nothing
//! from outside makes them panic.
//!
//! The changes come from a seed, so that a case that fails can be repeated; `DCOS_NODE_FUZZ_SEED`
//! takes another. With `DCOS_NODE_FUZZ_CORPUS` each corpus is also left in that directory, for
//! `make fuzz` to start from.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dcos_node::dcos::redact::Redactor;
use dcos_node::fuzz;
use support::build::{Build, Compression, Packed};

/// Changed copies of each text of a corpus.
const CASES: u32 = 400;
/// The same for archives, which are unpacked.
const ARCHIVE_CASES: u32 = 60;

/// A small generator (xorshift); the same seed gives the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// One to four changes: a bit, a byte that means something, a piece taken out, doubled, or moved in
/// from another text.
fn mutated(text: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\xff\x7f/.\"\\{}[]'<$\n 09-";
    let mut text = text.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(text.len());
        let length = dice.roll(64).min(text.len() - at);
        match dice.roll(5) {
            0 if !text.is_empty() => text[at] ^= 1 << dice.roll(8),
            1 if !text.is_empty() => text[at] = TELLING[dice.roll(TELLING.len())],
            2 => drop(text.drain(at..at + length)),
            3 => {
                let piece = text[at..at + length].to_vec();
                text.splice(at..at, piece);
            }
            _ => {
                let from = dice.roll(other.len());
                let piece = other[from..(from + length).min(other.len())].to_vec();
                text.splice(at..at + length, piece);
            }
        }
    }
    text
}

/// Runs a body over the corpus and its changed copies; a case that panics is kept and named.
fn over(name: &str, corpus: &[Vec<u8>], cases: u32, body: impl Fn(&[u8])) {
    assert!(!corpus.is_empty(), "{name} has no corpus");
    if let Some(directory) = std::env::var_os("DCOS_NODE_FUZZ_CORPUS") {
        let directory = Path::new(&directory).join(name.replace(' ', "_"));
        fs::create_dir_all(&directory).unwrap();
        corpus
            .iter()
            .enumerate()
            .for_each(|(at, text)| fs::write(directory.join(at.to_string()), text).unwrap());
    }
    let seed = std::env::var("DCOS_NODE_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x9e37_79b9_7f4a_7c15);
    let mut dice = Dice(seed);
    let check = |data: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| body(data))).is_err() {
            let kept = std::env::temp_dir().join(format!("dcos-node-fuzz-{name}"));
            fs::write(&kept, data).unwrap();
            panic!("{name} panics on what is in {}", kept.display());
        }
    };
    for text in corpus {
        check(text);
        for _ in 0..cases {
            let other = &corpus[dice.roll(corpus.len())];
            check(&mutated(text, other, &mut dice));
        }
    }
}

fn tiny(form: Compression) -> (Packed, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Build::tiny().compressed(form).pack(directory.path()), directory)
}

/// All files below a directory that have this name.
fn found(directory: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(found(&path, name));
        } else if path.file_name().is_some_and(|found| found == name) {
            all.push(fs::read(path).unwrap());
        }
    }
    all
}

#[test]
fn mutated_archives_of_every_form_never_panic() {
    let forms = [
        Compression::Xz,
        Compression::XzStreams,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Plain,
    ];
    let corpus: Vec<Vec<u8>> =
        forms.into_iter().map(|form| fs::read(tiny(form).0.archive("files")).unwrap()).collect();
    let scratch = tempfile::tempdir().unwrap();
    let beside = || fs::read_dir(scratch.path()).unwrap().count();
    over("archive", &corpus, ARCHIVE_CASES, |data| {
        fuzz::archive(data, scratch.path());
        assert_eq!(beside(), 0);
    });
}

#[test]
fn mutated_tar_headers_never_panic() {
    // A changed header is refused for its sum, unless the sum is made right again.
    let (packed, _directory) = tiny(Compression::Plain);
    let plain = fs::read(packed.archive("files")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    over("headers", &[plain], ARCHIVE_CASES * 5, |data| fuzz::headers(data, scratch.path()));
}

#[test]
fn mutated_server_and_package_texts_never_panic() {
    let (packed, _directory) = tiny(Compression::Plain);
    let script = found(&packed.dir, "dcos_install.sh");
    over("installer script", &script, CASES, fuzz::installer_script);
    let index = br#"{"packages/a/a--b.tar.xz":{"bytes":5,"sha256":"00","content":{"disk_bytes":4096,"bytes":9,"members":2},"alternative":{"path":"x","bytes":1,"sha256":"11"}}}"#;
    let mut texts = vec![
        index.to_vec(),
        b"[\"a--b\", \"c--d\"]".to_vec(),
        b"0123456789abcdef0123456789abcdef01234567\n".to_vec(),
    ];
    texts.push(fs::read(packed.package_list()).unwrap());
    over("build index", &texts, CASES, fuzz::build_index);
    let packages = found(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), "pkginfo.json");
    let metadata = br#"{"requires":["a",{"name":"b"}],"environment":{"A":"b"},"username":"x","group":"y","state_directory":true,"sysctl":{"s":{"a":1}}}"#;
    over(
        "package metadata",
        &[packages, vec![metadata.to_vec()]].concat(),
        CASES / 8,
        fuzz::package_metadata,
    );
}

#[test]
fn mutated_records_never_panic() {
    let journal = br#"{"record":"opened","schema":1,"dcos_node":"0.1.0"}
{"record":"begin","key":"a","objects":[{"object":"file","path":"/etc/x","sha256":"00","before":{"was":"absent"}}]}
{"record":"done","key":"a"}
{"record":"asked","at":"2026-01-01T00:00:00Z","intent":{"command":"uninstall","purge_data":false,"keep_packages":true}}
{"record":"undone","object":{"object":"package","id":"a--b"}}
{"record":"finished","outcome":"clean"}
"#;
    let manifest = br#"{"schema":1,"id":"a--b","archive_sha256":"00","archive_bytes":1,"files":[{"path":{"text":"x"},"mode":420,"uid":0,"gid":0,"type":"file","size":1,"sha256":"00"}]}"#;
    let receipt = br#"{"schema":99,"role":"master"}"#;
    over("records", &[journal.to_vec(), manifest.to_vec(), receipt.to_vec()], CASES, fuzz::records);
}

#[test]
fn mutated_cluster_answers_never_panic() {
    let exhibitor = br#"[{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true},{"code":0,"hostname":"b"}]"#;
    let metrics = br#"{"master/elected":1.0,"registrar/log/recovered":1.0,"slave/registered":0.0,"master/slaves_active":3}"#;
    let checks = br#"{"status":2,"checks":{"xz":{"status":2,"output":"no xz"},"b":{"status":0,"output":""}}}"#;
    let error = br#"{"error":"failed to execute.","checks":["xz: no"]}"#;
    let keeper = b"Zookeeper version: 3.4\n\
                   Clients:\n /10.0.0.1:1[1](queued=0)\n\
                   Mode: follower\n\
                   Node count: 4\n";
    let answers: [&[u8]; 5] = [exhibitor, metrics, checks, error, keeper];
    over("answers", &answers.map(<[u8]>::to_vec), CASES, fuzz::answers);
}

#[test]
fn mutated_bundle_texts_never_panic() {
    let texts: [&[u8]; 7] = [
        b"auth:\n  - name: a\n    password: |\n      s3cret\n      more\n  other: \"x\n  y\"\n\
          key: >-\n  z\n",
        br#"{"env":[{"name":"TOKEN","value":"x"}],"argv":["--user","a:b"],"uri":"http://a:b@c/d","n":null}"#,
        b"curl -u admin:s3cret http://a:b@c/ -H 'Authorization: Bearer abc.def.ghi' --password=\"a \
          b\" PASSWORD='x\n",
        b"-----BEGIN RSA PRIVATE KEY-----\n\
          MIIEpAIBAAKCAQEA\n\
          -----END RSA PRIVATE KEY-----\n\
          $6$salt$0123456789abcdef0123456789\n",
        b"Nov 26 12:00:00 node dcos[1]: secret => [a,\n b]\nexport TOKEN=x \\\n y\nmachine h login \
          l password p\n",
        b"token = b\"\"\"s\n\
          \"\"\"\n\
          A=\"B=-Dx.password=s\" key <<EOF\n\
          s\n\
          EOF\n\
          passwd -> s\n\
          secret 's' C:=--token s\n",
        b"{\"scheme\":\"digest\",\"id\":\"a:s\"} Credentials(a, s) (\"token\", \"s\") digest \
          b'a:s' echo s | chpasswd\n",
    ];
    let redactor = Redactor::new().unwrap();
    over("redaction", &texts.map(<[u8]>::to_vec), CASES, |data| fuzz::redaction(data, &redactor));
}
