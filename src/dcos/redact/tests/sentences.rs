//! Secrets that no mark parts from their name: after white space, in options, calls and sentences.

use super::*;

#[test]
fn value_after_white_space_is_redacted() {
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
        "password a#Secret1 # of ann\n",
        "set -token Secret1\n",
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
        assert!(
            !clean.replace("Secret-account", "").to_lowercase().contains("secret"),
            "of\n{text}\nthere is still\n{clean}"
        );
        assert!(
            clean.starts_with("first 1\n") && clean.ends_with("port 80\n"),
            "{text}\nbecame\n{clean}"
        );
    }
    for text in [
        "ssl_certificate_key /etc/ssl/key.pem;\nserver_tokens off;\nPasswordAuthentication yes\n",
        "password required\ntoken expired\nsecret {\n  name x\n}\n",
        "password required pam_unix.so\npassword sufficient pam_deny.so use_authtok\n",
        "2026-11-22T16:03:59Z cat | token validated\n\
         2026-11-22T16:03:59Z cat | Secret Store\n\
         2026-11-22T16:03:59Z cat | Private network\n",
        "Token Service",
        "[\"Secret Store\", \"Authorization Service\"]",
        "private 10.0.0.0/8\nproxy_pass http://10.0.0.1:8080;\n",
        "? master_list\n: [10.0.0.1]\n? [password policy]\n: strict\n",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn secret_option_is_found_after_a_name_and_in_any_list() {
    for (text, stays) in [
        (
            "JAVA_OPTS=-Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g\n",
            "-Xmx1g",
        ),
        (
            "[Service]\nEnvironment=\"JVM=-Djavax.net.ssl.keyStorePassword=Secret1\" \"PORT=5\"\n",
            "PORT=5",
        ),
        ("C=--password=Secret1 --port 5\n", "--port 5"),
        ("C=--password Secret1 --port 5\n", "--port 5"),
        ("args:--token=Secret1 --port 5\n", "--port 5"),
        ("x|--token=Secret1 --port 5\n", "--port 5"),
        ("X=-u ann:Secret1 http://h/\n", "http://h/"),
        ("<arg>--password=Secret1</arg> <arg>5</arg>\n", "<arg>5"),
        // What stands before an option may be anything.
        ("x/--token=Secret1\nport: 5\n", "port: 5"),
        (r#"["A=--token=Secret1", "B=5"]"#, "B=5"),
        (
            r#"{"x": "JVMFLAGS=-Dzookeeper.DigestAuthenticationProvider.superDigest=super:Secret1 -Xmx1g"}"#,
            "-Xmx1g",
        ),
        (
            r#"{"zk_super_digest_jvmflags": "JVMFLAGS=-Dx.superDigest=super:Secret1", "port": 5}"#,
            "5",
        ),
        (r#"log: {\"x\":\"JVMFLAGS=-Dx.superDigest=super:Secret1\",\"port\":5}"#, "port"),
    ] {
        goes(text, "Secret", stays);
    }
}

#[test]
fn zookeeper_client_credentials_are_redacted_in_every_form() {
    for (text, stays) in [
        (
            "zk_super_digest: Secret1\n\
             zk_master_digest: 'Secret2'\n\
             zk_agent_digest: \"Secret3\"\n\
             port: 5\n",
            "port: 5",
        ),
        (r#"{"zk_super_digest": "Secret1", "zk_agent_digest": "Secret2", "port": 5}"#, "5"),
        (r#"{"scheme": "digest", "id": "super:Secret1", "perms": 31}"#, "31"),
        (
            r#"[{"id": "super:Secret1", "scheme": "digest"}, {"id": "anyone", "scheme": "world"}]"#,
            "anyone",
        ),
        (r#"set {"scheme":"digest","id":"super:Secret1","perms":31} here"#, r#""perms":31"#),
        (r#"set {"perms":31,"id":{"id":"super:Secret1","scheme":"digest"}} here"#, r#""perms":31"#),
        (r#"set {"scheme":"digest","perms":31,"id":"super:Secret1"} here"#, r#""perms":31"#),
        (r#"set {\"id\":\"super:Secret1\",\"scheme\":\"digest\",\"perms\":31} here"#, "perms"),
        (
            r#"{"id":"anyone","scheme":"world"},{"id":"super:Secret1","scheme":"digest"} here"#,
            "anyone",
        ),
        (
            "ACL(perms=31, acl_list=['ALL'], id=Id(scheme='digest', id='super:Secret1')) end\n",
            "end",
        ),
        (
            "- scheme: digest\n  id: super:Secret1\n  perms: 31\n\
             - id: super:Secret2\n  scheme: digest\n",
            "perms: 31",
        ),
        (
            "2026-11-22T16:03:59Z x |   \"scheme\" : \"digest\",\n2026-11-22T16:03:59Z x |   \
             \"id\" : \"super:Secret1\"\n",
            "digest",
        ),
        ("make_digest_acl(\"ann\", \"Secret1\", all=True) and more\n", "and more"),
        ("make_digest_acl_credential('ann','Secret1') and more\n", "and more"),
        ("2026-11-22T16:03:59Z py | Adding auth digest b'super:Secret1'\n", "Adding auth"),
        (r#"[["digest", "super:Secret1"], ["port", 5]]"#, "5"),
        ("x --zk_digest super:Secret1 --port 5\n", "--port 5"),
        (
            "zk.DigestLoginModule required\n  user_super=\"Secret1\"\n  user_bob=\"Secret2\";\n\
             };\n",
            "required",
        ),
    ] {
        goes(text, "Secret", stays);
    }
}

#[test]
fn secrets_are_redacted_in_calls_pipes_and_sentences() {
    for (text, stays) in [
        ("x --basicauthpass Secret1 --port 5\n", "--port 5"),
        (
            "keytool -keystore /etc/k.jks -storepass Secret1 -keypass Secret2 -alias x\n",
            "-keystore /etc/k.jks",
        ),
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
        (
            "ssh-keygen -q -N 'Secret1' -f x; openssl enc -k Secret2 -in x; unzip -P Secret3 \
             x.zip\n",
            "x.zip",
        ),
        ("mysqladmin -u root password Secret1\nX\n", "X"),
        (
            "dcos security secrets create -v Secret1 db/x; dcos security secrets update \
             --value=Secret2 db/y\n",
            "db/y",
        ),
        ("kinit <<< Secret1 && passwd --stdin ann <<<'Secret2' && next\n", "&& next"),
        ("cmd=[x, --token, Secret1, --port, 5]\n", "--port, 5"),
        (
            "os.environ[\"PASSWORD\"] = \"Secret1\"\nconfig['token'] = 'Secret2'\nport = 5\n",
            "port = 5",
        ),
        ("<entry key=\"db.password\">Secret1</entry><entry key=\"port\">5</entry>\n", ">5<"),
        ("sent to https://hooks.slack.com/services/Secret1/Secret2/Secret3 now\n", "now"),
    ] {
        goes(text, "Secret", stays);
    }
    goes("aws configure set aws_secret_access_key hunter2 --profile x\n", "hunter2", "--profile x");
}

#[test]
fn torn_record_keeps_the_text_before_a_secret_file() {
    let torn = r#"{"record":"asked","files":[{"path":"/etc/resolv.conf","content":"stays"},{"path":"/etc/license.txt","mode":384,"content":"hunter"#;
    let clean = REDACTOR.clean_torn(torn);
    assert_eq!((clean.text.as_str(), clean.taken), (&*torn.replace("\"hunter", REDACTED), 1));
    let sound = torn.replace("/etc/license.txt", "/etc/mesosphere/setup-flags/x");
    assert_eq!(REDACTOR.clean_torn(&sound).text, sound);
    let unknown = torn.replace("license.txt", "notes.txt");
    assert!(!REDACTOR.clean_torn(&unknown).text.contains("hunter"));
}

#[test]
fn record_keeps_the_content_of_known_files_only() {
    for (path, stays) in [
        ("/etc/mesosphere/setup-flags/repository-url", true),
        ("/etc/systemd/system/dcos-setup.service", true),
        ("/etc/resolv.conf", true),
        ("/etc/mesosphere/anything", false),
        ("/etc/rexray/config.yml", false),
        ("/srv/allowed", false),
    ] {
        for record in [
            format!(r#"{{"path":"{path}","mode":420,"content":"first line"}}"#),
            format!(
                r#"{{"path":"{path}","before":{{"file":{{"mode":420,"content":{{"text":"first line"}}}}}}}}"#
            ),
        ] {
            let clean = clean(&record);
            assert_eq!(clean.contains("first line"), stays, "{clean}");
            assert!(clean.contains(path) && clean.contains("420"), "{clean}");
        }
    }
    goes(r#"{"path":"/etc/resolv.conf","content":{"hex":"00ff68"}}"#, "00ff68", "resolv.conf");
    let absent = r#"{"path":"/srv/allowed","before":"absent"}"#;
    assert_eq!(clean(absent), absent);
}

#[test]
fn text_without_secrets_is_unchanged() {
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
        "mesos--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5 and bootstrap id \
         5df43052907c021eeb5de145419a3da1898c58a5\n",
        "repository: \
         http://10.0.0.5:8080/packages/mesos/mesos--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5.tar.xz\n",
        "agent 0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-S1234 of framework \
         0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-0001\n",
        "/var/lib/mesos/slave/slaves/0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-S12/frameworks/0f6c5b3a-7f1d-4c5e-9d3a-1b2c3d4e5f60-0001/executors/x\n",
        "image \
         nginx:1.13@sha256:3a7837c65aacc6f3be9cf00f9d0e693074c248753a7837c65aacc6f3be9cf00f\n",
        "docker run -u 1000:1000 --user 0:0 nginx\n",
        "journalctl -u dcos-net.service; systemctl status dcos-net@1.service\n",
        "node navstar@10.0.0.1 sees 'navstar@10.0.0.2', fe80::5054:ff:fe12:3456 and \
         198.51.100.1:53\n",
        "PWD=/root\nOLDPWD=/opt/mesosphere\n",
        "java.security.auth.LoginException: no such realm\n    at \
         org.apache.zookeeper.ClientCnxn.run(ClientCnxn.java:1045)\n",
        "the token is expired, the password is required, basic authentication failed\n",
        "the check mesos_agent does not pass: no answer from 10.0.0.1:5051\ncannot make the mounts \
         private: Operation not permitted\n",
        "package dcos-secrets--c178106d10f1190144a8479bec9816dc7d1f46a6: done\nstate \
         /var/lib/dcos/dcos-secrets: done\n",
        "package dcos-secrets--c178106d10f1190144a8479bec9816dc7d1f46a6: failed: no \
         answer\naccount dcos_oauth: failed: no such group\n",
        "org.apache.zookeeper.server.auth.ProviderRegistry: 2 were loaded\n",
        "passwd:         files systemd\n",
        "passed: 3\npass_count is 4, bypass: no\n",
        "[Unit]\n\
         Description=Mesos Master\n\
         [Service]\n\
         Restart=always\n\
         EnvironmentFile=/opt/mesosphere/etc/proxy.env\n\
         Environment=LANG=C\n",
        "Out of memory: Killed process 4242 (mesos-agent) total-vm:10240kB, anon-rss:9000kB\n",
        "{\"argv\":[\"/opt/mesosphere/bin/mesos-master\",\"--port\",\"5050\",\"-u\",\"x\"],\"status\":0}",
        // What stands near the forms of secrets.
        "keystore: /path/to/store\n\
         -keystore /etc/k.jks -alias x\n\
         zk--d96df2e5a1fb41b75d9b6a2d0ce0cbb4b2b4b1b5: done\n",
        "digest: sha256:3a7837c65aac\n\
         image_digest: sha256:3a78\n\
         the digest sha256:3a78 differs, digest: 77\n\
         Adding auth digest failed\n",
        "{\"scheme\":\"world\",\"id\":\"anyone\"}",
        "set {\"scheme\":\"world\",\"id\":\"anyone\"},{\"id\":\"x\",\"scheme\":\"http\"}; \
         31,s{'world,'anyone}\n",
        "X=--port 5 --zk=zk://10.0.0.1:2181/mesos\n\
         JAVA_OPTS=-Xmx1g -Dzookeeper.port=2181\n\
         Y=--no-auth --port 5\n",
        "docker run -u=1000:1000 nginx; curl -u ann http://h/; openssl x509 -in x; kinit ann\nthe \
         options --password, --token\n",
        "[auth]: started\n<entry key=\"port\">5</entry>\n",
        "unexpected token 'fi'\n\
         Unrecognized token 'foo': was expecting ('true', 'false' or 'null')\n\
         no secret '/etc/x'\n",
        "loading credentials from file:/etc/x\nCredentials(), Credentials(ann), \
         UsernamePasswordCredentials(null, null)\n",
        "dcos-secrets -> ../packages/dcos-secrets--abc\n\
         private.key -> /etc/ssl/x\n\
         conn->auth->kind, prefab-key->type\n",
        "echo hello | grep x; printf x | tee y; htpasswd is absent; aws configure set region eu\n",
        "checked with token validation, and password authentication, using secret store\n",
        "compass: 5\nx = \"\"\"\ntext\n\"\"\"\ny = a << 5\ntoken = \"\"\"\"\"\"\n",
        "Session establishment complete on server 10.0.0.1:2181, sessionid = 0x16a, negotiated \
         timeout = 40000\n",
        "a1b2c3d4-0000-1111-2222-333344445555 boot id; machine id \
         0123456789abcdef0123456789abcdef\n",
    ] {
        assert_eq!(clean(text), text);
    }
}
