use super::*;

fn clean(text: &str) -> String {
    Redactor::new().unwrap().clean(text).text
}

/// Every secret is gone, and what stands beside it is not.
#[track_caller]
fn goes(text: &str, secret: &str, stays: &str) {
    let clean = clean(text);
    assert!(!clean.contains(secret), "{secret} is still in: {clean}");
    assert!(clean.contains(stays), "{stays} is gone from: {clean}");
}

#[test]
fn secrets_go_by_their_names() {
    goes("superuser_password_hash: abc/def\nnext: 1\n", "abc", "next: 1");
    goes("EXHIBITOR_TLS_PASSWORD=a b c\nX=1\n", "a b c", "X=1");
    goes("com.netflix.exhibitor.s3.access-secret-key=wJal\nregion=eu\n", "wJal", "region=eu");
    goes(r#"{"password": "one\"two", "port": 5}"#, "two", "5");
    goes(r#"log: {"password":"one","port":5,"token":"two"} end"#, "two", r#""port":5"#);
    goes(r#"{"auths":{"registry.example":{"auth":"dTpw"}}}"#, "dTpw", "auths");
    goes(r#"{"path":"/etc/mesosphere/docker_credentials","mode":384,"content":"anything"}"#, "anything", "384");
    goes(r#"{"env":[{"name":"DB_PASSWORD","value":"hunter"}]}"#, "hunter", "DB_PASSWORD");
    goes("run --token hunter2 --port 5\n", "hunter2", "--port 5");
    goes("GET /x?sv=1&sig=abc%3D&y=2 HTTP", "abc%3D", "y=2");
}

#[test]
fn what_belongs_to_a_name_goes_with_it() {
    goes("license: |\n  line one\n\n  line two\nmaster_list: x\n", "line", "master_list: x");
    goes("cluster_docker_credentials:\n  auths:\n    'https://r':\n      auth: dTpw\nnext: 1\n", "dTpw", "next: 1");
    goes("  \"auths\": {\n    \"r\": {\"email\": \"ann\"}\n  },\n  \"x\": 1\n", "ann", "\"x\": 1");
}

#[test]
fn secrets_go_by_their_shapes() {
    goes("proxy is http://ann:p@ss/word@proxy.example:3128/ now", "p@ss", "proxy.example:3128");
    goes("http_proxy=ann:hunter2@proxy:3128\n", "hunter2", "proxy:3128");
    goes("set to $6$rounds=656000$abcdefgh$ijklmnop for bootstrapuser", "ijklmnop", "bootstrapuser");
    goes("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nafter\n", "MIIabc", "after");
    goes("x -----BEGIN PRIVATE KEY-----\nMIIabc and it is cut", "MIIabc", "x ");
    goes(r"one line: -----BEGIN EC PRIVATE KEY-----\nMIIabc\n-----END EC PRIVATE KEY-----\n and on", "MIIabc", "and on");
    goes("got eyJhbGciOi.eyJ1aWQiOi.c2lnbmF0dXJl from iam", "c2lnbmF0dXJl", "from iam");
    goes("> Authorization: token=abc def\n> Host: x\n", "abc def", "Host: x");
    goes("key id AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE", "used");
    goes("value 9Wz0kVb1T/m6fXyZ+1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789ABCDEFGH== end", "m6fXyZ", "end");
}

#[test]
fn what_is_no_secret_stays_word_for_word() {
    for text in [
        "dcos-config--setup_d9911cb7d6988fab21837c23d6131f1a3e0b4541 is active\n",
        "sha256 3a7837c65aacc6f3be9cf00f9d0e693074c248753a7837c65aacc6f3be9cf00f\n",
        "/opt/mesosphere/packages/java--1/usr/java/jre/lib/security/Java8/US_export_policy\n",
        "oauth_enabled: true\nlicensing_enabled=false\n",
        "ExecStartPre=/opt/mesosphere/bin/bootstrap dcos-exhibitor\n",
        "systemd | dcos-secrets.service: Failed with result 'exit-code'.\n",
        "systemd: dcos-net@1.service: Failed with result 'exit-code'.\n",
        "{\"record\":\"begin\",\"key\":\"file /etc/x\",\"objects\":[]}\n",
        "http://bootstrap.example.com:8080/ answered\n",
    ] {
        assert_eq!(clean(text), text);
    }
}
