//! Gr33nTs of the tools and services that run on a node of DC/OS.

use super::*;

#[test]
fn secrets_of_tools_on_a_node_are_redacted() {
    for (text, stays) in [
        ("sent to https://collectors.sumologic.com/receiver/v1/http/Gr33nT1aBcD== now", "now"),
        ("https://discord.com/api/webhooks/123456/Gr33nT1 answered", "answered"),
        ("https://api.telegram.org/bot123456:Gr33nT1/sendMessage", "/sendMessage"),
        ("STRIPE=sk_live_Gr33nT1abcdef PORT=5", "PORT=5"),
        ("SENDGRID=SG.Gr33nT1abcdef.yyyyyyyyyyyyyyyyyyyyyy PORT=5", "PORT=5"),
        ("client token s.Gr33nT1 used", "used"),
        ("vault has s.Gr33nT1Gr33nT1Gr33nT1Sec now", "now"),
        ("vault has hvs.Gr33nT1Gr33nT1Gr33nT1Sec now", "now"),
        ("Unseal Key 1: Gr33nT1\nInitialized true\n", "Initialized true"),
        ("unlock key: Gr33nT1\nnext 1\n", "next 1"),
        ("body=%22password%22%3A%22Gr33nT1%22%2C%22port%22%3A5", "%22%2C%22port%22%3A5"),
        ("body=%7B%22api_token%22%3A+%22Gr33nT%2F1%22%7D end", "%22%7D end"),
        ("echo Gr33nT1 | sudo -S true", "sudo -S true"),
        ("echo Gr33nT1 | sudo -k -S true", "sudo -k -S true"),
        ("mongo -u admin -p Gr33nT1 db", "db"),
        ("mongodump -u admin -pGr33nT1 --port 5", "--port 5"),
        ("ldapsearch -x -D cn=admin -wGr33nT1 -b x", "-b x"),
        ("lftp -u bob,Gr33nT1 ftp.example.com", "ftp.example.com"),
        ("ncftpput -u bob -p Gr33nT1 h", "-u bob"),
        ("ipmitool -I lanplus -H h -U ADMIN -P Gr33nT1 power", "power"),
        ("ipmitool -U ADMIN -PGr33nT1 power", "power"),
        ("sqlcmd -S db -U sa -P Gr33nT1 -Q x", "-Q x"),
        ("cryptsetup --key-file=- <<< Gr33nT1", "cryptsetup"),
        ("expect \"assword:\" send \"Gr33nT1\\r\"\ninteract\n", "interact"),
        ("expect \"assword:\" { send -- \"Gr33nT1\\r\" }\ninteract\n", "interact"),
        ("token Gr33nT1 is invalid", "is invalid"),
        ("API key Gr33nT1 rejected", "rejected"),
        ("secret Gr33nT1 not accepted", "not accepted"),
        ("api key: Gr33nT1\nnext: 1\n", "next: 1"),
        ("iam service account private-key Gr33nT1 of ann", "of ann"),
        ("TLS_KEY_B64=Gr33nT1\nX=1\n", "X=1"),
    ] {
        goes(text, "Gr33nT1", stays);
        goes(&format!("2026-11-22T16:03:59Z cat | {text}"), "Gr33nT1", stays);
    }
    for text in [
        "the token is invalid, the secret store was not found\n",
        "mongo --port 5; mongod -f /etc/mongod.conf; ldapsearch -x -W; sudo -u ann true\n",
        "echo a | sudo tee /etc/x\n",
        "body=%22port%22%3A5, api.telegram.org, s.example, private key /etc/x.key\n",
    ] {
        assert_eq!(clean(text), text);
    }
}
