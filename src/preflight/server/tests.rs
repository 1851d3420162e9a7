//! Each layer, judged by recorded facts.

use std::net::SocketAddr;

use super::*;
use crate::observe::server::Proxy;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn found(finding: &Finding) -> (&str, &str) {
    match finding {
        Finding::Bad { found, cure } | Finding::Doubtful { found, cure } => {
            (found, cure.as_deref().unwrap_or_default())
        }
        Finding::Good(found) | Finding::Unknown(found) | Finding::NotHere(found) => (found, ""),
        Finding::Unclear { why, .. } => (why, ""),
    }
}

fn network(proxy: Option<Proxy>) -> Network {
    Network {
        host: "bootstrap.test".into(),
        proxy,
        is_tls: false,
        name: Layer::NotReached,
        connect: Layer::NotReached,
        tls: Layer::NotReached,
        dates: None,
        http: Layer::NotReached,
    }
}

#[test]
fn layers_behind_a_broken_one_are_unknown_and_others_timed() {
    let took = Duration::from_millis(1234);
    let judged = |it: Layer<()>| layer(&it, |(), took| Finding::good(took));
    assert_eq!(judged(Layer::NotReached), Finding::not_here("not reached"));
    assert_eq!(judged(Layer::Reached { took, result: Ok(()) }), Finding::good("1.2 s"));
    assert_eq!(
        judged(Layer::Reached { took: took / 100, result: Err("refused".into()) }),
        Finding::bad("refused (after 12 ms)")
    );
}

#[test]
fn a_proxy_matters_only_if_it_catches_the_server() {
    let settings = [Setting { name: "http_proxy", value: "http://proxy:3128".into() }];
    assert!(matches!(caught(&[], Some(&network(None))), Finding::Good(_)));
    assert!(matches!(caught(&settings, None), Finding::Good(_)));
    assert!(
        found(&caught(&settings, Some(&network(None))))
            .0
            .ends_with("bootstrap.test is reached without it")
    );
    let finding =
        caught(&settings, Some(&network(Some(Proxy { host: "proxy".into(), port: 3128 }))));
    assert!(matches!(finding, Finding::Bad { .. }));
    assert!(
        found(&finding).0.contains("go through proxy:3128")
            && found(&finding).1.contains("add bootstrap.test to no_proxy")
    );
}

#[test]
fn one_answering_address_passes_and_others_are_reported() {
    let to: SocketAddr = "10.0.0.1:80".parse().unwrap();
    let good =
        Connection { to, took: Duration::from_millis(2), result: Ok("10.0.0.9".parse().unwrap()) };
    let bad = Connection { result: Err("Connection refused".into()), ..good.clone() };
    assert_eq!(
        connections(std::slice::from_ref(&good), "the proxy: "),
        Finding::good("the proxy: 10.0.0.1:80 from 10.0.0.9 (2 ms)")
    );
    let finding = connections(&[good, bad], "");
    assert!(
        matches!(&finding, Finding::Doubtful { found, .. } if found.ends_with("10.0.0.1:80 not: \
            Connection refused")),
        "{finding:?}"
    );
}

#[test]
fn certificate_date_error_names_a_wrong_clock() {
    let begin = Validity::NotBegun(NOW + Duration::from_secs(86_400));
    let finding = refused_for_dates(begin, NOW, Some("STA_UNSYNC".into()));
    assert!(found(&finding).0.contains(
        "not valid before 1970-01-02T00:00:00Z; this node's clock says 1970-01-01T00:00:00Z"
    ));
    assert!(
        found(&finding).0.contains("STA_UNSYNC") && found(&finding).1.contains("time.sync"),
        "{finding:?}"
    );
    let finding = refused_for_dates(Validity::Ended(NOW), NOW, None);
    assert!(
        found(&finding).0.contains("expired at 1970") && found(&finding).1.contains("renew"),
        "{finding:?}"
    );
}

#[test]
fn skew_over_five_seconds_fails_and_names_the_clock_to_set() {
    for (skew, text) in [(0, "the same"), (5, "5 s ahead"), (-5, "5 s behind")] {
        assert!(matches!(
            skewed(Some(skew), Some("unsynchronised".into())),
            Finding::Good(found) if found.contains(text)
        ));
    }
    for skew in [6, -6, i64::MIN, i64::MAX] {
        assert!(found(&skewed(Some(skew), None)).1.contains("set the server's"));
        assert!(found(&skewed(Some(skew), Some("unsynchronised".into()))).1.contains("time.sync"));
    }
    assert!(matches!(skewed(None, None), Finding::NotHere(_)));
}

#[test]
fn missing_artifacts_are_named_up_to_a_limit() {
    let whole =
        Artifacts { count: 40, bytes: 3 << 20, of_unknown_length: 2, ..Artifacts::default() };
    assert_eq!(
        complete(&whole, "9 ms".into()),
        Finding::good("40 files, 3.1 MB and 2 of unknown length (9 ms)")
    );
    let missing = (1..=100).map(|n| format!("packages/p{n:03}")).collect();
    let finding = complete(&Artifacts { missing, ..whole.clone() }, String::new());
    assert!(matches!(finding, Finding::Bad { .. }));
    assert!(
        found(&finding).0.ends_with("packages/p005 and 95 more")
            && !found(&finding).0.contains("p006"),
        "{finding:?}"
    );
    let changed = vec!["packages/p (9 bytes, published were 8)".to_owned()];
    let finding = complete(
        &Artifacts { changed, missing: vec!["packages/q".to_owned()], ..whole.clone() },
        String::new(),
    );
    let told = "1 of 40 are missing: packages/q; 1 of 40 are not as long as published: packages/p \
                (9 bytes, published were 8)";
    assert!(
        matches!(
            &finding,
            Finding::Bad { found, cure: Some(cure) } if found == told && cure.contains("publish")
        ),
        "{finding:?}"
    );
    let failed = vec!["the server answers 403 Forbidden".to_owned()];
    assert!(
        found(&complete(&Artifacts { failed, ..whole }, String::new()))
            .0
            .contains("1 of 40 could not be asked for")
    );
}
