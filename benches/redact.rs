//! How fast secrets are taken out of a log, and how much slower the worst texts are.
//!
//! `make bench` runs it, or `cargo bench --profile ci --bench redact`. `BENCH_KILOBYTES` is the
//! length of each text (512). Ratios count, not seconds. See docs/bench.md.
#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints")]

use std::hint::black_box;
use std::time::Duration;

use dcos_node::dcos::redact::Redactor;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

/// Of so many runs the fastest counts.
const ROUNDS: usize = 3;

/// Lines as the logs of a node have them.
const USUAL: [&str; 6] = [
    "2026-11-22T16:03:59.123456Z mesos-agent | I1122 16:03:59.123456  1234 slave.cpp:5678] Got \
     registered with master 10.0.0.1:5050 of 0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f-0001\n",
    "2026-11-22T16:03:59.223456Z dockerd | time=\"2026-11-22T16:03:59.2Z\" level=info \
     msg=\"Container 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef failed to \
     exit within 10 seconds\" module=libcontainerd\n",
    "2026-11-22T16:03:59.323456Z kernel | [ 1234.567890] eth0: renamed from veth1a2b3c4 state=up\n",
    "2026-11-22T16:03:59.423456Z marathon.sh | [2026-11-22 16:03:59,422] INFO  Processing \
     LaunchEphemeral for instance [app.instance-1] (mesosphere.marathon.core.launcher:thread-7)\n",
    "2026-11-22T16:03:59.523456Z java | 2026-11-22 16:03:59,523 [myid:1] - INFO \
     [NIOWorkerThread-2:ZooKeeperServer@1045] - Client attempting to establish session\n",
    "2026-11-22T16:03:59.623456Z nginx | 10.0.0.9 - - [22/Nov/2026:16:03:59 +0000] \"GET \
     /service/marathon/v2/apps?embed=apps.counts HTTP/1.1\" 200 512 \"-\" \"python/2.18\"\n",
];

/// Texts that are worst if they are repeated: what opens a secret, and what nearly does.
const WORST: [&str; 68] = [
    "password ",
    "password=\"",
    "a=",
    "\"",
    "secret:",
    "secret:\n",
    "[[[",
    "- ",
    "\n",
    ": |\n",
    "token.service: token.py: ",
    "token.py:\"",
    "password=x \\\n",
    "password=<<EOF\n",
    "password=\"\"\"\n",
    "? password\n",
    "# ? password\n",
    "name: token\nvalue: x\n",
    "-----BEGIN",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----",
    "MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3+LQmlQ\n",
    "mysql -p",
    "docker login ",
    "secrets create -v",
    "echo a|b ",
    "http://a:b@",
    "a:b@c ",
    "bearer a ",
    "--password ",
    "--password \\\"",
    "-u a:b ",
    "(\"password\", \"a\")",
    "{password,",
    "name: password value: ",
    "<password>a</password>",
    "é password ",
    "%22token%22%3A%22",
    "private key a1b2c3 ",
    "AbCdEfGh0123456789/",
    "=",
    "\\",
    "'",
    "{",
    "\0",
    "\u{fffd}",
    "://",
    "- machine a -wAKIApassworddigest--stdin",
    "--stdineyJabcdef.http://token",
    "credentials api keypassword-(machine a htpasswd -b --stdin",
    "=>mysql htpasswd -b valuenamesshpass -p --stdin",
    "eyJabcdef.<  ([assword: send api key",
    "\naapi keytokenhttp://",
    "passwordkey</name><value>-u x=\"b\"id{is",
    "docker login -p a ",
    "digest: a:b ",
    "password=a\n",
    "password: 'a\n",
    // What opens a secret and is none after all.
    "password is required ",
    "token is [redacted] ",
    "-u 1000:1000 ",
    "-u 1:1 ",
    "digest: sha256:a ",
    "digest:sha1:b ",
    "--password --token ",
    "a:b@sha1: ",
    "and token a ",
    "{token, null",
];

fn main() -> Result<(), Failure> {
    let kilobytes = std::env::var("BENCH_KILOBYTES").ok().and_then(|value| value.parse().ok());
    let length = kilobytes.unwrap_or(512) * 1000;
    let redactor = Redactor::new()?;
    let usual: String = USUAL.iter().copied().cycle().take(length / 150).collect();
    let per_byte = |text: &str| fastest(&redactor, text).as_secs_f64() / text.len() as f64;
    let base = per_byte(&usual);
    println!(
        "usual log: {:.1} MB/s, 100 MB in {:.1} s, {} kB of each text",
        1e-6 / base,
        1e8 * base,
        length / 1000
    );
    let mut worst: Vec<(f64, f64, &str)> = WORST
        .iter()
        .map(|word| {
            let text = word.repeat(length / word.len());
            let half = word.repeat(length / word.len() / 2);
            (per_byte(&text) / base, per_byte(&text) / per_byte(&half), *word)
        })
        .collect();
    worst.sort_by(|one, other| other.0.total_cmp(&one.0));
    let most = worst.first().map_or(0.0, |(ratio, ..)| *ratio);
    println!("worst text: {most:.1} times the usual, at most 3.0 wanted");
    println!("times the usual  per byte, to half the length  repeated text");
    for (ratio, growth, word) in worst {
        println!("{ratio:15.1}  {growth:29.2}  {word:?}");
    }
    Ok(())
}

fn fastest(redactor: &Redactor, text: &str) -> Duration {
    // The time of this thread, which other programs on the machine do not change.
    let now =
        || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |now| now.num_nanoseconds());
    let run = || {
        let start = now();
        black_box(redactor.clean(black_box(text)));
        Duration::from_nanos(u64::try_from(now() - start).unwrap_or_default())
    };
    (0..ROUNDS).map(|_| run()).min().unwrap_or_default()
}
