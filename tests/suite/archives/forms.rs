//! Every form of compression: recognised, decoded whole, damaged, and within its memory.

use std::io::{self, Read};

use dcos_node::system::archive::{self, Format, decode};
use dcos_node::system::unpack::{Error, select};
use support::build::{Compression, compress};

use super::hostile::hostile;
use super::{Archive, LIMIT, decoded, filter, refusal};

/// One archive in every form that we read.
fn forms(plain: &[u8]) -> Vec<(&'static str, Format, Vec<u8>)> {
    let (first, second) = plain.split_at(plain.len() / 3);
    let twice = |program: &str, arguments: &[&str]| {
        [filter(program, arguments, first), filter(program, arguments, second)].concat()
    };
    vec![
        ("xz", Format::Xz, filter("xz", &["-c"], plain)),
        ("xz of blocks", Format::Xz, filter("xz", &["-c", "--block-size=10000"], plain)),
        ("xz streams", Format::Xz, twice("xz", &["-c"])),
        (
            "xz streams with padding",
            Format::Xz,
            [filter("xz", &["-c"], first), vec![0; 8], filter("xz", &["-c"], second)].concat(),
        ),
        ("gzip", Format::Gzip, filter("gzip", &["-c"], plain)),
        ("gzip members", Format::Gzip, twice("gzip", &["-c"])),
        ("zstd", Format::Zstd, filter("zstd", &["-c"], plain)),
        ("zstd frames", Format::Zstd, twice("zstd", &["-c"])),
        (
            "zstd after a skippable frame",
            Format::Zstd,
            [&b"\x50\x2a\x4d\x18\x04\0\0\0abcd"[..], &filter("zstd", &["-c"], plain)].concat(),
        ),
        ("tar", Format::Tar, plain.to_vec()),
    ]
}

fn sample() -> Vec<u8> {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(60_000)
    .collect();
    Archive::default().file("noise", &noise).file("zeros", &[0; 100_000]).end()
}

#[test]
fn every_form_is_recognised_and_decoded_whole() {
    let plain = sample();
    for (name, format, data) in forms(&plain) {
        assert_eq!(Format::of(&data[..512]), Some(format), "{name}");
        assert!(decoded(&data, LIMIT).unwrap() == plain, "{name}");
        // Also when it comes byte by byte.
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = buf.len().min(1);
                self.0.read(&mut buf[..n])
            }
        }
        let mut out = Vec::new();
        decode(Dribble(&data), LIMIT).unwrap().read_to_end(&mut out).unwrap();
        assert!(out == plain, "{name}");
    }
    for data in [&b""[..], b"x", b"<html>404</html>", &[b'x'; 600]] {
        assert!(matches!(decode(data, LIMIT), Err(archive::Error::Unknown(_))));
    }
}

#[test]
fn hostile_archives_are_refused_in_every_form() {
    for (what, plain, expected) in hostile() {
        for form in [
            Compression::Xz,
            Compression::XzStreams,
            Compression::Gzip,
            Compression::Zstd,
            Compression::Plain,
        ] {
            let reason = refusal(decode(&compress(&plain, form)[..], LIMIT).unwrap());
            assert!(reason.contains(expected), "{what} in {form:?}: {reason}");
        }
    }
}

#[test]
fn damaged_archive_is_never_unpacked_as_content() {
    let plain = sample();
    for (name, format, data) in forms(&plain) {
        // What a cut or a changed bit leaves is an error of the decoder or, in plain tar, of the
        // reader of members.
        let read = |data: &[u8]| -> bool {
            let Ok(decoder) = decode(data, LIMIT) else { return false };
            select(decoder, &[], 0).is_ok()
        };
        assert!(read(&data), "{name}");
        for cut in (0..data.len()).step_by(data.len() / 40).chain([data.len() - 1]) {
            assert!(!read(&data[..cut]), "{name} cut at {cut}");
        }
        assert!(!read(&[&data[..], b"garbage after the end"].concat()), "{name} with garbage");
        if format == Format::Tar {
            continue;
        }
        for position in (20..data.len()).step_by(data.len() / 60) {
            let mut flipped = data.clone();
            flipped[position] ^= 0x10;
            // Some bits mean nothing (a time stamp, a flag), but none may change the content.
            assert!(
                decoded(&flipped, LIMIT).is_err() || decoded(&flipped, LIMIT).unwrap() == plain,
                "{name} flipped at {position}"
            );
        }
    }
}

#[test]
fn decoders_stay_within_their_memory() {
    let plain = sample();
    for (data, format) in [
        (filter("xz", &["-9", "-c"], &plain), Format::Xz),
        (filter("zstd", &["--long=27", "-c"], &plain), Format::Zstd),
    ] {
        let error = decoded(&data, 1 << 20).unwrap_err();
        let error = error.get_ref().unwrap().downcast_ref::<archive::Error>().unwrap();
        assert!(
            matches!(
                error,
                archive::Error::Memory { limit: 1_048_576, format: it } if *it == format
            ),
            "{error}"
        );
        assert!(decoded(&data, 160 << 20).unwrap() == plain);
    }
}

#[test]
fn read_error_is_not_reported_as_a_damaged_archive() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the network is gone"))
        }
    }
    for (name, _, data) in forms(&sample()) {
        let reader = data[..data.len() / 2].chain(Broken);
        let error = select(decode(reader, LIMIT).unwrap(), &[], 0).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Read { source, .. } if source.to_string() == "the network is gone"
            ),
            "{name}: {error:?}"
        );
    }
}
