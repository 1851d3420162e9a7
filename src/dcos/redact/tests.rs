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
fn a_value_goes_with_all_its_lines_in_every_form_of_yaml() {
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
        ("users:\n- ? !!str password\n  : Secret1\n    Secret2\n- ? &a token\n  :\n    Secret3\n", 3),
        ("? zk_keys\n:\n- Secret1\n- Secret2\n", 2),
        ("{? password : Secret1, port: 5}\n", 1),
    ] {
        let text = format!("first: 1\n{text}next: 1\n");
        let clean = clean(&text);
        assert_eq!(text.matches("Secret").count(), secrets, "{text}");
        assert!(!clean.contains("Secret"), "of\n{text}\nthere is still\n{clean}");
        assert!(clean.contains("first: 1\n") && clean.contains("next: 1\n"), "{text}\nbecame\n{clean}");
    }
    assert!(clean("env:\n- name: DB_PASSWORD\n  value: Secret1\n- name: PORT\n  value: 80\n").contains("value: 80"));
    assert!(clean("- password: Secret1\n  user: ann\n").contains("user: ann"));
}

#[test]
fn secrets_go_by_names_and_shapes_of_other_programs() {
    for (text, stays) in [
        ("DB_PASS=Secret1\nX=1\n", "X=1"),
        ("dbPass = Secret1\nX=1\n", "X=1"),
        ("MYSQL_PWD=Secret1\nX=1\n", "X=1"),
        ("Server=db;uid=sa;pwd=Secret1\n", "uid=sa"),
        ("KEY=Secret1\nX=1\n", "X=1"),
        ("pass: Secret1\nx: 1\n", "x: 1"),
        ("passwd:\n  Secret1\nx: 1\n", "x: 1"),
        ("private: Secret1\nx: 1\n", "x: 1"),
        ("java -Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g\n", "-Xmx1g"),
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
        ("run {\\\"argv\\\":[\\\"--password\\\",\\\"Secret1 Secret2\\\",\\\"--port\\\"]}\n", "--port"),
        ("{dcos_net,[{password, \"Secret1\"},{<<\"token\">>,<<\"Secret2\">>},{port,80}]}\n", "{port,80}"),
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
        ("com.netflix.exhibitor.s3.access-key-id=Secret1\ncom.netflix.exhibitor.s3.access-secret-key=Secret2\nregion=eu\n", "region=eu"),
        ("[Service]\nEnvironment=\"DB_PASS=Secret1 Secret2\"\nUser=ann\n", "User=ann"),
        ("[Service]\nEnvironment=HTTP_PROXY=http://ann:Secret1@proxy:3128/\nUser=ann\n", "User=ann"),
        ("[Service]\nExecStart=/opt/x --password Secret1 \\\n  --port 5\n", "--port 5"),
        ("/Secret1K7MDENGbPxRfiCY9zEXAMPLEKEY3pQ8sVw2/x7Y+b1N0mKlQzT is odd\n", "is odd"),
        ("wJalrSecret1/K7MDENG/bPxRfiCYEXAMPLEKEY7x0y is odd\n", "is odd"),
        ("12:00 | MIISecret1\n12:00 | Secret2==\n12:00 | -----END RSA PRIVATE KEY-----\n12:01 | next\n", "12:01 | next"),
        ("{\"m\": \"got -----BEGIN PRIVATE KEY-----\\nSecret1\\n-----END PRIVATE KEY-----\\n and on\"}", "and on"),
        ("got \"-----BEGIN PRIVATE KEY-----\\\\nSecret1\\\\n-----END PRIVATE KEY-----\\\\n\" and on", "and on"),
        (r#"{"HttpHeaders": {"X-Meta": "Secret1"}, "psFormat": "x"}"#, "psFormat"),
        (r#"{"credsStore": "pass", "auths": {"r": {"auth": "Secret1"}}}"#, "credsStore"),
        (r#"["x", "--password", "Secret1", "--port", "5"]"#, "--port"),
        (r#"{"argv": ["curl", "-u", "ann:Secret1", "http://h/"]}"#, "http://h/"),
        (r#"{"argv": ["zkCli.sh", "addauth", "digest", "super:Secret1"]}"#, "zkCli.sh"),
        (r#"{"argv": ["mysql", "-pSecret1 Secret2"], "Env": ["DB_PASS=Secret3", "PORT=5"]}"#, "PORT=5"),
        (r#"{"labels": [{"key": "DB_TOKEN", "value": "Secret1"}, {"Value": "Secret2", "Name": "DB_PW"}], "x": 5}"#, "5"),
    ] {
        let clean = clean(text);
        assert!(!clean.contains("Secret") && !clean.contains("c2VjcmV0"), "of\n{text}\nthere is still\n{clean}");
        assert!(clean.contains(stays), "{stays} is gone from\n{clean}");
    }
}

#[test]
fn a_text_of_many_lines_is_known_in_a_log() {
    let entries = |text: &str| text.lines().map(|line| format!("2026-11-22T16:03:59Z cat | {line}\n")).collect::<String>();
    let text = entries("first: 1\nlicense: |\n  Secret1\n\n  Secret2\nzk_keys:\n- Secret3\nenv:\n- name: DB_PW\n  value: Secret4\nnext: 1");
    let clean = clean(&text);
    assert!(!clean.contains("Secret"), "{clean}");
    assert!(clean.contains("cat | first: 1\n") && clean.ends_with("cat | next: 1\n") && clean.contains("cat |   [redacted]\n"), "{clean}");
    // A message of more than one line.
    goes("2026-11-22T16:03:59Z cat | token:\n      hunter2\n2026-11-22T16:03:59Z cat | next\n", "hunter2", "cat | next");
}

#[test]
fn names_in_json_are_texts_too() {
    let clean = clean(r#"{"http://ann:hunter2@mirror/": {"port": 5}, "http://bob:hunter3@mirror/": 6}"#);
    assert!(!clean.contains("hunter") && clean.contains(r#""port": 5"#), "{clean}");
    // Neither takes the place of the other.
    assert!(clean.matches("[redacted]@mirror/").count() == 2 && clean.contains('6'), "{clean}");
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
fn a_value_goes_that_only_white_space_parts_from_its_name() {
    for text in [
        "password Secret1\n",
        "  password\t\"Secret1 Secret2\"  # of ann\n",
        "password secret1\n",
        "machine h login ann password Secret1\n",
        "machine h\n  login ann\n  password Secret1\n  account Secret-account\n",
        "default login ann password Secret1\n",
        "machine h account x password Secret1\n",
        "export TOKEN=Secret1\n",
        "set -x TOKEN Secret1;\n",
        "setenv API_TOKEN 'Secret1'\n",
        "ENV DB_PASSWORD Secret1\n",
        "requirepass Secret1\nmasterauth Secret2\n",
        "javax.net.ssl.keyStorePassword Secret1\n",
        "javax.net.ssl.keyStorePassword:Secret1\n",
        "javax.net.ssl.keyStorePassword : Secret1 Secret2\n",
        "- password Secret1\n",
        "2026-11-22T16:03:59Z cat | password Secret1x\n",
        "2026-11-22T16:03:59Z cat | api_token Secret1x\n",
    ] {
        let text = format!("first 1\n{text}port 80\n");
        let clean = clean(&text);
        assert!(!clean.replace("Secret-account", "").to_lowercase().contains("secret"), "of\n{text}\nthere is still\n{clean}");
        assert!(clean.starts_with("first 1\n") && clean.ends_with("port 80\n"), "{text}\nbecame\n{clean}");
    }
    for text in [
        "ssl_certificate_key /etc/ssl/key.pem;\nserver_tokens off;\nPasswordAuthentication yes\n",
        "password required\ntoken expired\nsecret {\n  name x\n}\n",
        "password required pam_unix.so\npassword sufficient pam_deny.so use_authtok\n",
        "2026-11-22T16:03:59Z cat | token validated\n2026-11-22T16:03:59Z cat | Secret Store\n2026-11-22T16:03:59Z cat | Private network\n",
        "Token Service",
        "[\"Secret Store\", \"Authorization Service\"]",
        "private 10.0.0.0/8\nproxy_pass http://10.0.0.1:8080;\n",
        "? master_list\n: [10.0.0.1]\n? [password policy]\n: strict\n",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn an_option_is_known_right_behind_a_name_and_in_every_kind_of_list() {
    for (text, stays) in [
        ("JAVA_OPTS=-Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g\n", "-Xmx1g"),
        ("[Service]\nEnvironment=\"JVM=-Djavax.net.ssl.keyStorePassword=Secret1\" \"PORT=5\"\n", "PORT=5"),
        ("C=--password=Secret1 --port 5\n", "--port 5"),
        ("C=--password Secret1 --port 5\n", "--port 5"),
        ("args:--token=Secret1 --port 5\n", "--port 5"),
        ("x|--token=Secret1 --port 5\n", "--port 5"),
        ("X=-u ann:Secret1 http://h/\n", "http://h/"),
        ("<arg>--password=Secret1</arg> <arg>5</arg>\n", "<arg>5"),
        // What stands before an option may be anything.
        ("x/--token=Secret1\nport: 5\n", "port: 5"),
        (r#"["A=--token=Secret1", "B=5"]"#, "B=5"),
        (r#"{"x": "JVMFLAGS=-Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g"}"#, "-Xmx1g"),
        (r#"{"zk_super_digest_jvmflags": "JVMFLAGS=-Dx.superDigest=super:Secret1", "port": 5}"#, "5"),
        (r#"log: {\"x\":\"JVMFLAGS=-Dx.superDigest=super:Secret1\",\"port\":5}"#, "port"),
    ] {
        goes(text, "Secret", stays);
    }
}

#[test]
fn what_zookeeper_knows_a_client_by_goes_in_every_form() {
    for (text, stays) in [
        ("zk_super_digest: Secret1\nzk_master_digest: 'Secret2'\nzk_agent_digest: \"Secret3\"\nport: 5\n", "port: 5"),
        (r#"{"zk_super_digest": "Secret1", "zk_agent_digest": "Secret2", "port": 5}"#, "5"),
        (r#"{"scheme": "digest", "id": "super:Secret1", "perms": 31}"#, "31"),
        (r#"[{"id": "super:Secret1", "scheme": "digest"}, {"id": "anyone", "scheme": "world"}]"#, "anyone"),
        (r#"set {"scheme":"digest","id":"super:Secret1","perms":31} here"#, r#""perms":31"#),
        (r#"set {"perms":31,"id":{"id":"super:Secret1","scheme":"digest"}} here"#, r#""perms":31"#),
        (r#"set {"scheme":"digest","perms":31,"id":"super:Secret1"} here"#, r#""perms":31"#),
        (r#"set {\"id\":\"super:Secret1\",\"scheme\":\"digest\",\"perms\":31} here"#, "perms"),
        (r#"{"id":"anyone","scheme":"world"},{"id":"super:Secret1","scheme":"digest"} here"#, "anyone"),
        ("ACL(perms=31, acl_list=['ALL'], id=Id(scheme='digest', id='super:Secret1')) end\n", "end"),
        ("- scheme: digest\n  id: super:Secret1\n  perms: 31\n- id: super:Secret2\n  scheme: digest\n", "perms: 31"),
        ("2026-11-22T16:03:59Z x |   \"scheme\" : \"digest\",\n2026-11-22T16:03:59Z x |   \"id\" : \"super:Secret1\"\n", "digest"),
        ("make_digest_acl(\"ann\", \"Secret1\", all=True) and more\n", "and more"),
        ("make_digest_acl_credential('ann','Secret1') and more\n", "and more"),
        ("2026-11-22T16:03:59Z py | Adding auth digest b'super:Secret1'\n", "Adding auth"),
        (r#"[["digest", "super:Secret1"], ["port", 5]]"#, "5"),
        ("x --zk_digest super:Secret1 --port 5\n", "--port 5"),
        ("zk.DigestLoginModule required\n  user_super=\"Secret1\"\n  user_bob=\"Secret2\";\n};\n", "required"),
    ] {
        goes(text, "Secret", stays);
    }
}

#[test]
fn secrets_go_in_calls_pipes_and_sentences() {
    for (text, stays) in [
        ("x --basicauthpass Secret1 --port 5\n", "--port 5"),
        ("keytool -keystore /etc/k.jks -storepass Secret1 -keypass Secret2 -alias x\n", "-keystore /etc/k.jks"),
        ("users:\n- pwhash: Secret1\n  uid: ann\n", "uid: ann"),
        ("PW_HASH=Secret1\nX=1\n", "X=1"),
        ("passcode: Secret1\nx: 1\n", "x: 1"),
        ("SSHPASS=Secret1\nX=1\n", "X=1"),
        ("password = \"\"\"\nSecret1\n  Secret2\n\"\"\"\nport = 5\n", "port = 5"),
        ("token = b'''Secret1\nSecret2'''\nport = 5\n", "port = 5"),
        ("secret = \"\"\"Secret1\"\"\"\nport = 5\n", "port = 5"),
        ("password = (\n  \"Secret1\"\n  \"Secret2\"\n)\nport = 5\n", "port = 5"),
        ("token = <<EOF\nSecret1\nSecret2\nEOF\nport = 5\n", "port = 5"),
        ("TOKEN=$(cat <<'END'\nSecret1\nEND\n)\nPORT=5\n", "PORT=5"),
        ("PASSWORD := Secret1\nPORT := 5\n", "PASSWORD := [redacted]\nPORT := 5"),
        ("passwd -> Secret1\nport -> 5\n", "port -> 5"),
        ("the secret 'Secret1' is used\n", "is used"),
        ("got token \"Secret1\" for ann\n", "for ann"),
        ("user ann, password Secret1x, port 5\n", "port 5"),
        ("went in with password Secret1x at last\n", "at last"),
        ("uses credentials ann:Secret1 for x\n", "for x"),
        ("Credentials(ann, Secret1) for x\n", "for x"),
        ("new UsernamePasswordCredentials(\"ann\", \"Secret1\"); x\n", "x"),
        ("HTTPBasicAuth('ann', 'Secret1') x\n", "x"),
        ("s.setPassword(\"Secret1\"); x\n", "; x"),
        ("System.setProperty(\"javax.net.ssl.keyStorePassword\", \"Secret1\"); x\n", "; x"),
        ("[('password', 'Secret1'), ('port', 5)]\n", "('port', 5)"),
        ("CREATE USER ann IDENTIFIED BY 'Secret1' x\n", "x"),
        ("echo Secret1 | docker login -u ann --password-stdin r:5\n", "r:5"),
        ("echo root:Secret1 | sudo chpasswd\n", "chpasswd"),
        ("htpasswd -bB /etc/f ann Secret1 && next\n", "&& next"),
        ("ldapsearch -x -w Secret1 -b dc=x\n", "-b dc=x"),
        ("smbclient -U ann%Secret1 //h/x\n", "//h/x"),
        ("ssh-keygen -q -N 'Secret1' -f x; openssl enc -k Secret2 -in x; unzip -P Secret3 x.zip\n", "x.zip"),
        ("mysqladmin -u root password Secret1\nX\n", "X"),
        ("dcos security secrets create -v Secret1 db/x; dcos security secrets update --value=Secret2 db/y\n", "db/y"),
        ("kinit <<< Secret1 && passwd --stdin ann <<<'Secret2' && next\n", "&& next"),
        ("cmd=[x, --token, Secret1, --port, 5]\n", "--port, 5"),
        ("os.environ[\"PASSWORD\"] = \"Secret1\"\nconfig['token'] = 'Secret2'\nport = 5\n", "port = 5"),
        ("<entry key=\"db.password\">Secret1</entry><entry key=\"port\">5</entry>\n", ">5<"),
        ("sent to https://hooks.slack.com/services/Secret1/Secret2/Secret3 now\n", "now"),
    ] {
        goes(text, "Secret", stays);
    }
    goes("aws configure set aws_secret_access_key hunter2 --profile x\n", "hunter2", "--profile x");
}

#[test]
fn a_torn_record_keeps_what_stands_before_a_secret_file() {
    let torn = r#"{"record":"asked","files":[{"path":"/etc/x","content":"stays"},{"path":"/etc/license.txt","mode":384,"content":"hunter"#;
    let clean = REDACTOR.clean_torn(torn);
    assert_eq!((clean.text.as_str(), clean.taken), (&*torn.replace("\"hunter", REDACTED), 1));
    let sound = torn.replace("license.txt", "notes.txt");
    assert_eq!(REDACTOR.clean_torn(&sound).text, sound);
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
        "{\"exhibitor_auth\": \"false\", \"superuser_password_hash\": \"\"}",
        "{\"record\":\"begin\",\"key\":\"file /etc/x\",\"objects\":[]}\n",
        "http://bootstrap.example.com:8080/ answered\n",
        // Ids, digests and addresses that support asks for.
        "mesos--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5 and bootstrap id 5df43052907c021eeb5de145419a3da1898c58a5\n",
        "repository: http://10.0.0.5:8080/packages/mesos/mesos--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5.tar.xz\n",
        "agent 0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-S1234 of framework 0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-0001\n",
        "/var/lib/mesos/slave/slaves/0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-S12/frameworks/0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-0001/executors/x\n",
        "image nginx:1.13@sha256:3a7837c65aacc6f3be9cf00f9d0e693074c248753a7837c65aacc6f3be9cf00f\n",
        "docker run -u 1000:1000 --user 0:0 nginx\n",
        "journalctl -u dcos-net.service; systemctl status dcos-net@1.service\n",
        "node navstar@10.0.0.1 sees 'navstar@10.0.0.2', fe80::5054:ff:fe12:3456 and 198.51.100.1:53\n",
        "PWD=/root\nOLDPWD=/opt/mesosphere\n",
        "java.security.auth.LoginException: no such realm\n    at org.apache.zookeeper.ClientCnxn.run(ClientCnxn.java:1045)\n",
        "the token is expired, the password is required, basic authentication failed\n",
        "the check mesos_agent does not pass: no answer from 10.0.0.1:5051\ncannot make the mounts private: Operation not permitted\n",
        "package dcos-secrets--c178106d10f1190144a8479bec9816dc7d1f46a6: done\nstate /var/lib/dcos/dcos-secrets: done\n",
        "package dcos-secrets--c178106d10f1190144a8479bec9816dc7d1f46a6: failed: no answer\naccount dcos_oauth: failed: no such group\n",
        "org.apache.zookeeper.server.auth.ProviderRegistry: 2 were loaded\n",
        "passwd:         files systemd\n",
        "passed: 3\npass_count is 4, bypass: no\n",
        "[Unit]\nDescription=Mesos Master\n[Service]\nRestart=always\nEnvironmentFile=/opt/mesosphere/etc/proxy.env\nEnvironment=LANG=C\n",
        "Out of memory: Killed process 4242 (mesos-agent) total-vm:10240kB, anon-rss:9000kB\n",
        "{\"argv\":[\"/opt/mesosphere/bin/mesos-master\",\"--port\",\"5050\",\"-u\",\"x\"],\"status\":0}",
        // What stands near the forms of secrets.
        "keystore: /path/to/store\n-keystore /etc/k.jks -alias x\nzk--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5: done\n",
        "digest: sha256:3a7837c65aac\nimage_digest: sha256:3a78\nthe digest sha256:3a78 differs, digest: 77\nAdding auth digest failed\n",
        "{\"scheme\":\"world\",\"id\":\"anyone\"}",
        "set {\"scheme\":\"world\",\"id\":\"anyone\"},{\"id\":\"x\",\"scheme\":\"http\"}; 31,s{'world,'anyone}\n",
        "X=--port 5 --zk=zk://10.0.0.1:2181/mesos\nJAVA_OPTS=-Xmx1g -Dzookeeper.port=2181\nY=--no-auth --port 5\n",
        "docker run -u=1000:1000 nginx; curl -u ann http://h/; openssl x509 -in x; kinit ann\nthe options --password, --token\n",
        "[auth]: started\n<entry key=\"port\">5</entry>\n",
        "unexpected token 'fi'\nUnrecognized token 'foo': was expecting ('true', 'false' or 'null')\nno secret '/etc/x'\n",
        "loading credentials from file:/etc/x\nCredentials(), Credentials(ann), UsernamePasswordCredentials(null, null)\n",
        "dcos-secrets -> ../packages/dcos-secrets--abc\nprivate.key -> /etc/ssl/x\nconn->auth->kind, prefab-key->type\n",
        "echo hello | grep x; printf x | tee y; htpasswd is absent; aws configure set region eu\n",
        "checked with token validation, and password authentication, using secret store\n",
        "compass: 5\nx = \"\"\"\ntext\n\"\"\"\ny = a << 5\ntoken = \"\"\"\"\"\"\n",
        "Session establishment complete on server 10.0.0.1:2181, sessionid = 0x16a, negotiated timeout = 40000\n",
        "a1b2c3d4-0000-1111-2222-333344445555 boot id; machine id 0123456789abcdef0123456789abcdef\n",
    ] {
        assert_eq!(clean(text), text);
    }
}
