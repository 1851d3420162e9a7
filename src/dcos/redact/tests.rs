mod effort;
mod sentences;
mod tools;

use std::sync::LazyLock;

use super::*;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new().unwrap());

fn clean(text: &str) -> String {
    REDACTOR.clean(text).text
}

/// Every secret is gone, and what stands beside it is not.
#[track_caller]
fn goes(text: &str, secret: &str, stays: &str) {
    let clean = clean(text);
    assert!(!clean.contains(secret), "{secret} is still in: {clean}");
    assert!(clean.contains(stays), "{stays} is gone from: {clean}");
}

#[test]
fn secrets_are_redacted_by_their_names() {
    goes("superuser_password_hash: abc/def\nnext: 1\n", "abc", "next: 1");
    goes("EXHIBITOR_TLS_PASSWORD=a b c\nX=1\n", "a b c", "X=1");
    goes("com.netflix.exhibitor.s3.access-secret-key=wJal\nregion=eu\n", "wJal", "region=eu");
    goes(r#"{"password": "one\"two", "port": 5}"#, "two", "5");
    goes(r#"log: {"password":"one","port":5,"token":"two"} end"#, "two", r#""port":5"#);
    goes(r#"{"auths":{"registry.example":{"auth":"dTpw"}}}"#, "dTpw", "auths");
    goes(
        r#"{"path":"/etc/mesosphere/docker_credentials","mode":384,"content":"anything"}"#,
        "anything",
        "384",
    );
    goes(r#"{"env":[{"name":"DB_PASSWORD","value":"hunter"}]}"#, "hunter", "DB_PASSWORD");
    goes("run --token hunter2 --port 5\n", "hunter2", "--port 5");
    goes("GET /x?sv=1&sig=abc%3D&y=2 HTTP", "abc%3D", "y=2");
}

#[test]
fn whole_value_of_a_secret_name_is_redacted() {
    goes("license: |\n  line one\n\n  line two\nmaster_list: x\n", "line", "master_list: x");
    goes(
        "cluster_docker_credentials:\n  auths:\n    'https://r':\n      auth: dTpw\nnext: 1\n",
        "dTpw",
        "next: 1",
    );
    goes("  \"auths\": {\n    \"r\": {\"email\": \"ann\"}\n  },\n  \"x\": 1\n", "ann", "\"x\": 1");
}

#[test]
fn multi_line_yaml_value_is_redacted_in_every_form() {
    for (text, secrets) in [
        ("license_key_contents: |2\n    Secret1\n   Secret2\n", 2),
        ("license_key_contents: | # Secret3, as the shop sent it\n  Secret1\n\n  Secret2\n", 3),
        ("license_key_contents: >+\n  Secret1\n  Secret2\n\n", 2),
        ("license_key_contents: >-2\n  Secret1\n  Secret2\n", 2),
        ("license_key_contents: &a |\n  Secret1\n  Secret2\n", 2),
        ("license_key_contents: !!str |\n  Secret1\n  Secret2\n", 2),
        ("license_key_contents: &a\n  Secret1\n  Secret2\n", 2),
        ("superuser_password: \"Secret1\n  Secret2\"\n", 2),
        ("superuser_password: \"Secret1\nSecret2\n\nSecret3\"\n", 3),
        ("superuser_password: 'Secret1\n  Secret2'\n", 2),
        ("superuser_password: Secret1\n  Secret2\n  Secret3\n", 3),
        ("zk_keys:\n- Secret1\n- Secret2\n", 2),
        ("zk_keys: # both\n- Secret1\n# one more\n-\n  Secret2\n", 2),
        ("zk_keys:\n  - Secret1\n  - {a: Secret2}\n", 2),
        ("zk_keys: [Secret1,\n  Secret2]\n", 2),
        ("users:\n- password: Secret1\n    Secret2\n- password:\n    Secret3\n", 3),
        ("env:\n- name: DB_PASSWORD\n  value: Secret1\n- name: PORT\n  value: 80\n", 1),
        ("env:\n  - value: |\n      Secret1\n      Secret2\n    name: \"DB_PASSWORD\"\n", 2),
        ("\"env\": [{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"Secret1\"\n}, {\n", 1),
        ("- {name: DB_PASSWORD, value: Secret1}\n", 1),
        ("DB_PASSWORD=Secret1 \\\n  Secret2 \\\nSecret3\n", 3),
        ("? superuser_password\n: Secret1\n", 1),
        ("? \"superuser_password\" # of the shop\n# and why\n: |\n  Secret1\n  Secret2\n", 2),
        (
            "users:\n\
             - ? !!str password\n  : Secret1\n    Secret2\n\
             - ? &a token\n  :\n    Secret3\n",
            3,
        ),
        ("? zk_keys\n:\n- Secret1\n- Secret2\n", 2),
        ("{? password : Secret1, port: 5}\n", 1),
    ] {
        let text = format!("first: 1\n{text}next: 1\n");
        let clean = clean(&text);
        assert_eq!(text.matches("Secret").count(), secrets, "{text}");
        assert!(!clean.contains("Secret"), "of\n{text}\nthere is still\n{clean}");
        assert!(
            clean.contains("first: 1\n") && clean.contains("next: 1\n"),
            "{text}\nbecame\n{clean}"
        );
    }
    assert!(
        clean("env:\n- name: DB_PASSWORD\n  value: Secret1\n- name: PORT\n  value: 80\n")
            .contains("value: 80")
    );
    assert!(clean("- password: Secret1\n  user: ann\n").contains("user: ann"));
}

#[test]
fn secrets_are_redacted_by_names_of_other_programs() {
    for (text, stays) in [
        ("DB_PASS=Secret1\nX=1\n", "X=1"),
        ("dbPass = Secret1\nX=1\n", "X=1"),
        ("MYSQL_PWD=Secret1\nX=1\n", "X=1"),
        ("Server=db;uid=sa;pwd=Secret1\n", "uid=sa"),
        ("KEY=Secret1\nX=1\n", "X=1"),
        ("pass: Secret1\nx: 1\n", "x: 1"),
        ("passwd:\n  Secret1\nx: 1\n", "x: 1"),
        ("private: Secret1\nx: 1\n", "x: 1"),
        (
            "java -Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g\n",
            "-Xmx1g",
        ),
        ("java -Djavax.net.ssl.keyStorePassword=Secret1 -Xmx1g\n", "-Xmx1g"),
        ("curl -u admin:Secret1 http://h/\n", "http://h/"),
        ("curl -uadmin:Secret1 http://h/\n", "http://h/"),
        ("curl -u \"admin:Secret1 Secret2\" http://h/\n", "http://h/"),
        ("curl --user admin:Secret1 http://h/\n", "http://h/"),
        ("curl --proxy-user=admin:Secret1 http://h/\n", "http://h/"),
        ("run --password \"Secret1 Secret2\" --port 5\n", "--port 5"),
        ("run --password 'Secret1 Secret2' --port 5\n", "--port 5"),
        ("run --token 'Secret1' --port 5\n", "--port 5"),
        ("run --token=\"Secret1 Secret2\" --port 5\n", "--port 5"),
        ("run --token \\\n  Secret1 --port 5\n", "--port 5"),
        ("run ['x', '--password', 'Secret1', '--port', '5']\n", "'5'"),
        (
            "run {\\\"argv\\\":[\\\"--password\\\",\\\"Secret1 Secret2\\\",\\\"--port\\\"]}\n",
            "--port",
        ),
        (
            "{dcos_net,[{password, \"Secret1\"},{<<\"token\">>,<<\"Secret2\">>},{port,80}]}\n",
            "{port,80}",
        ),
        ("docker login -u ann -p Secret1 registry:5000\n", "registry:5000"),
        ("mysql -u root -pSecret1 mysql\n", "-u root"),
        ("sshpass -p Secret1 ssh node\n", "ssh node"),
        ("addauth digest super:Secret1\nls /\n", "ls /"),
        ("acl is [digest:super:Secret1:cdrwa] here\n", "here"),
        ("auth_data=[('digest', 'super:Secret1')] here\n", "auth_data"),
        ("> x-auth: bearer Secret1\n> Host: x\n", "Host: x"),
        ("sent bearer Secret1, got 401\n", "got 401"),
        ("sent Basic c2VjcmV0OlNlY3JldDE= and got 401\n", "got 401"),
        ("the password is Secret1.\nnext\n", "next"),
        ("password for ann: Secret1\nnext\n", "next"),
        ("password was set to 'Secret1 Secret2' by ann\n", "by ann"),
        ("proxy is http://ann:it's@Secret1@proxy:3128/ now\n", "proxy:3128"),
        ("proxy is ann:Secret1/Secret2@proxy:3128 now\n", "proxy:3128 now"),
        ("GET /cb?code=Secret1&state=1 HTTP/1.1\n", "state=1"),
        ("GET /x?a=1&access_token=Secret1 HTTP/1.1\n", "a=1"),
        ("<password>Secret1</password><port>5</port>\n", "<port>5"),
        ("<name>fs.s3.access.key</name><value>Secret1</value><x>5</x>\n", "<x>5"),
        ("machine h login ann password Secret1\n", "login ann"),
        ("token ghp_Secret1Secret2Secret3Secret4 used\n", "used"),
        (
            "com.netflix.exhibitor.s3.access-key-id=Secret1\n\
             com.netflix.exhibitor.s3.access-secret-key=Secret2\n\
             region=eu\n",
            "region=eu",
        ),
        ("[Service]\nEnvironment=\"DB_PASS=Secret1 Secret2\"\nUser=ann\n", "User=ann"),
        (
            "[Service]\nEnvironment=HTTP_PROXY=http://ann:Secret1@proxy:3128/\nUser=ann\n",
            "User=ann",
        ),
        ("[Service]\nExecStart=/opt/x --password Secret1 \\\n  --port 5\n", "--port 5"),
        ("/Secret1K7MDENGbPxRfiCY9zEXAMPLEKEY3pQ8sVw2/x7Y+b1N0mKlQzT is odd\n", "is odd"),
        ("wJalrSecret1/K7MDENG/bPxRfiCYEXAMPLEKEY7x0y is odd\n", "is odd"),
        (
            "12:00 | MIISecret1\n\
             12:00 | Secret2==\n\
             12:00 | -----END RSA PRIVATE KEY-----\n\
             12:01 | next\n",
            "12:01 | next",
        ),
        (
            "{\"m\": \"got -----BEGIN PRIVATE KEY-----\\nSecret1\\n-----END PRIVATE KEY-----\\n \
             and on\"}",
            "and on",
        ),
        (
            "got \"-----BEGIN PRIVATE KEY-----\\\\nSecret1\\\\n-----END PRIVATE KEY-----\\\\n\" \
             and on",
            "and on",
        ),
        (r#"{"HttpHeaders": {"X-Meta": "Secret1"}, "psFormat": "x"}"#, "psFormat"),
        (r#"{"credsStore": "pass", "auths": {"r": {"auth": "Secret1"}}}"#, "credsStore"),
        (r#"["x", "--password", "Secret1", "--port", "5"]"#, "--port"),
        (r#"{"argv": ["curl", "-u", "ann:Secret1", "http://h/"]}"#, "http://h/"),
        (r#"{"argv": ["zkCli.sh", "addauth", "digest", "super:Secret1"]}"#, "zkCli.sh"),
        (
            r#"{"argv": ["mysql", "-pSecret1 Secret2"], "Env": ["DB_PASS=Secret3", "PORT=5"]}"#,
            "PORT=5",
        ),
        (
            r#"{"labels": [{"key": "DB_TOKEN", "value": "Secret1"}, {"Value": "Secret2", "Name": "DB_PW"}], "x": 5}"#,
            "5",
        ),
    ] {
        let clean = clean(text);
        assert!(
            !clean.contains("Secret") && !clean.contains("c2VjcmV0"),
            "of\n{text}\nthere is still\n{clean}"
        );
        assert!(clean.contains(stays), "{stays} is gone from\n{clean}");
    }
}

#[test]
fn multi_line_text_is_recognised_in_a_log() {
    let entries = |text: &str| {
        text.lines().map(|line| format!("2026-11-22T16:03:59Z cat | {line}\n")).collect::<String>()
    };
    let text = entries(
        "first: 1\n\
         license: |\n  Secret1\n\
         \n  Secret2\n\
         zk_keys:\n\
         - Secret3\n\
         env:\n\
         - name: DB_PW\n  value: Secret4\n\
         next: 1",
    );
    let clean = clean(&text);
    assert!(!clean.contains("Secret"), "{clean}");
    assert!(
        clean.contains("cat | first: 1\n")
            && clean.ends_with("cat | next: 1\n")
            && clean.contains("cat |   [redacted]\n"),
        "{clean}"
    );
    // A message of more than one line.
    goes(
        "2026-11-22T16:03:59Z cat | token:\n      hunter2\n2026-11-22T16:03:59Z cat | next\n",
        "hunter2",
        "cat | next",
    );
}

#[test]
fn names_in_json_are_texts_too() {
    let clean =
        clean(r#"{"http://ann:hunter2@mirror/": {"port": 5}, "http://bob:hunter3@mirror/": 6}"#);
    assert!(!clean.contains("hunter") && clean.contains(r#""port": 5"#), "{clean}");
    // Neither takes the place of the other.
    assert!(clean.matches("[redacted]@mirror/").count() == 2 && clean.contains('6'), "{clean}");
}

#[test]
fn secrets_are_redacted_by_their_shapes() {
    goes("proxy is http://ann:p@ss/word@proxy.example:3128/ now", "p@ss", "proxy.example:3128");
    goes("http_proxy=ann:hunter2@proxy:3128\n", "hunter2", "proxy:3128");
    goes(
        "set to $6$rounds=656000$abcdefgh$ijklmnop for bootstrapuser",
        "ijklmnop",
        "bootstrapuser",
    );
    goes(
        "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nafter\n",
        "MIIabc",
        "after",
    );
    goes("x -----BEGIN PRIVATE KEY-----\nMIIabc and it is cut", "MIIabc", "x ");
    goes(
        r"one line: -----BEGIN EC PRIVATE KEY-----\nMIIabc\n-----END EC PRIVATE KEY-----\n and on",
        "MIIabc",
        "and on",
    );
    goes("got eyJhbGciOi.eyJ1aWQiOi.c2lnbmF0dXJl from iam", "c2lnbmF0dXJl", "from iam");
    goes("> Authorization: token=abc def\n> Host: x\n", "abc def", "Host: x");
    goes("key id AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE", "used");
    goes(
        "value 9Wz0kVb1T/m6fXyZ+1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789ABCDEFGH== end",
        "m6fXyZ",
        "end",
    );
}
