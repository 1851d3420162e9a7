//! Accounts that `useradd` or `userdel` was cut in: they rename their four files one after another.

use std::fs;
use std::process::Command;

use dcos_node::dcos::account_lines::AccountLines;
use support::build::Build;
use support::image::{Image, Mounted, Serve};

/// In the order in which programs for accounts rename them.
const FILES: [&str; 4] = ["etc/passwd", "etc/shadow", "etc/group", "etc/gshadow"];
const USER: &str = "dcos_";

type Texts = [Vec<u8>; 4];

/// An image with shadow files.
fn image() -> Image {
    let image = Image::new();
    fs::write(image.at("etc/shadow"), "root:*:1::::::\n").expect("write");
    fs::write(image.at("etc/gshadow"), "root:*::\nsystemd-journal:!::\n").expect("write");
    image
}

fn texts(image: &Image) -> Texts {
    FILES.map(|file| fs::read(image.at(file)).expect("read"))
}

/// Every DC/OS account has its lines in all four files, and nothing lies beside them.
#[track_caller]
fn are_whole(image: &Image) {
    let lines =
        AccountLines::load(|path| fs::read(image.at(path.trim_start_matches('/'))).map(Some))
            .expect("read");
    let accounts = lines.accounts();
    let ours: Vec<&str> = accounts.names().filter(|name| name.starts_with(USER)).collect();
    assert!(!ours.is_empty());
    for user in ours {
        assert!(accounts.has_user(user), "{user}");
        assert_eq!(accounts.missing_lines(user), [""; 0], "{user}");
    }
    has_no_litter(image);
}

#[track_caller]
fn has_no_litter(image: &Image) {
    let names = fs::read_dir(image.at("etc")).expect("list").flatten();
    let litter: Vec<String> = names
        .map(|name| name.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(['+']) || name.ends_with(".lock") && name != ".pwd.lock")
        .collect();
    assert_eq!(litter, [""; 0]);
}

/// Leaves the files as they are where the program was cut after so many renames: the others are as
/// before, the next is written, and the locks are there, one with the number of a live process.
fn cut(image: &Image, before: &Texts, renamed: usize) {
    for (file, text) in FILES.iter().zip(before).skip(renamed) {
        let new = fs::read(image.at(file)).expect("read");
        fs::write(image.at(format!("{file}+")), new).expect("write");
        fs::write(image.at(file), text).expect("write");
    }
    fs::write(image.at("etc/passwd.lock"), format!("{}\0", std::process::id())).expect("write");
    fs::write(image.at("etc/passwd.4194303"), "4194303\0").expect("write");
    fs::write(image.at("etc/group.lock"), "").expect("write");
}

fn tool(image: &Image, words: &[&str]) {
    let (program, arguments) = words.split_first().expect("a program");
    let mut command = Command::new(program);
    let status = command.arg("--root").arg(image.path()).args(arguments).status();
    assert!(status.expect("run it").success(), "{words:?}");
}

#[test]
fn account_cut_while_it_is_made_is_completed() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    for renamed in 0..=4 {
        let image = image();
        let before = texts(&image);
        let killed = image.with("DCOS_NODE_FAULT", "kill Spawn 1 /usr/sbin/useradd");
        assert_eq!(killed.install(serve.url(), &[]).code(), None);
        let image = killed.without("DCOS_NODE_FAULT");
        let user = first_account(&serve);
        tool(&image, &["useradd", "--system", "--user-group", "--shell", "/sbin/nologin", &user]);
        cut(&image, &before, renamed);
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        are_whole(&image);
        image.run(&["verify"]).ends(0, &[]);
        image.run(&["uninstall", "--yes", "--purge-data"]).ends(0, &[]);
        assert_eq!(texts(&image), before, "{renamed}");
        assert!(!image.has("etc/.pwd.lock") && !image.has("etc/passwd.4194303"));
        has_no_litter(&image);
    }
}

/// The first account that an install makes.
fn first_account(serve: &Serve) -> String {
    let image = image();
    image.install(serve.url(), &[]).ends(0, &[]);
    accounts(&image).first().expect("an account").clone()
}

/// The accounts of DC/OS in the order in which they were made.
fn accounts(image: &Image) -> Vec<String> {
    let passwd = fs::read_to_string(image.at("etc/passwd")).expect("read");
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    names.filter(|name| name.starts_with(USER)).map(str::to_owned).collect()
}

#[test]
fn account_cut_while_it_is_removed_is_removed() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    for renamed in 0..=4 {
        let image = image();
        let original = texts(&image);
        image.install(serve.url(), &[]).ends(0, &[]);
        let killed = image.with("DCOS_NODE_FAULT", "kill Spawn 1 /usr/sbin/userdel");
        assert_eq!(killed.run(&["uninstall", "--yes", "--purge-data"]).code(), None);
        let image = killed.without("DCOS_NODE_FAULT");
        let before = texts(&image);
        tool(&image, &["userdel", accounts(&image).last().expect("an account")]);
        cut(&image, &before, renamed);
        let again: &[&str] =
            if renamed % 2 == 0 { &["uninstall", "--yes", "--purge-data"] } else { &["recover"] };
        image.run(again).ends(0, &[]);
        assert_eq!(texts(&image), original, "{renamed}");
        assert!(!image.has("etc/.pwd.lock") && !image.has("etc/passwd.4194303"));
        has_no_litter(&image);
    }
}

#[test]
fn half_account_is_told_by_verify() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    for (file, line) in FILES.iter().zip(["", "shadow", "group", "gshadow"]).skip(1) {
        let image = image();
        let before = fs::read(image.at(file)).expect("read");
        image.install(serve.url(), &[]).ends(0, &[]);
        image.run(&["verify"]).ends(0, &[]);
        fs::write(image.at(file), before).expect("write");
        image.run(&["verify"]).ends(6, &[&["missing", USER, &format!("in /etc/{line}")]]);
    }
}

#[test]
fn account_file_that_is_a_mount_point_is_found_before() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), image());
    let before = image.tree();
    let bound = Mounted::bind(&image.at("etc/passwd"), &image.at("etc/passwd"));
    image.install(serve.url(), &[]).ends(3, &[&["accounts.files", "/etc/passwd is a mount point"]]);
    image.equals(&before);
    drop(bound);
    image.install(serve.url(), &[]).ends(0, &[]);
    let bound = Mounted::bind(&image.at("etc/passwd"), &image.at("etc/passwd"));
    image
        .run(&["uninstall", "--yes", "--purge-data"])
        .ends(9, &[&["still there", USER, "userdel"]]);
    has_no_litter(&image);
    drop(bound);
    image.run(&["uninstall", "--yes", "--purge-data"]).ends(0, &[]);
}
