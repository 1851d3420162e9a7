//! Makes and removes system accounts (`pkgpanda/__init__.py`, UserManagement).

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::Site;
use crate::dcos::account_lines::AccountLines;
use crate::dcos::accounts::Accounts;
use crate::dcos::active_set::Account;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::process::{self, Command, Output};
use crate::system::program::Tool;
use crate::system::{account_litter, account_lock, files};

/// `useradd` waits for the lock of `/etc/passwd` for at most 15 seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// As long as the C library itself waits for the lock (`lckpwdf(3)`).
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// The longest account file that is read; a line has about a hundred bytes.
pub(super) const LONGEST: u64 = 64 << 20;
/// Where the programs are, whatever the caller's own PATH.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn objects(site: &Site, account: &Account) -> anyhow::Result<Vec<Object>> {
    let accounts = site.accounts()?;
    let user_made = !accounts.has_user(&account.user);
    let group_made = user_made && account.group.is_none() && !accounts.has_group(&account.user);
    let group_before = accounts.group_number(&account.user).filter(|_| user_made);
    Ok(vec![Object::Account { account: account.clone(), user_made, group_made, group_before }])
}

/// Makes the account unless it is there, and completes one that a cut of `useradd` left with lines
/// in some of the four files only. An account that is there must have the group that the package
/// wants.
pub(crate) async fn add(site: &Site, account: &Account) -> anyhow::Result<()> {
    let user = account.user.as_str();
    let is_whole =
        |accounts: &Accounts| accounts.has_user(user) && accounts.missing_lines(user).is_empty();
    if is_whole(&site.accounts()?) && !has_litter(site)? {
        return Ok(());
    }
    // What is left of a user is not what the program expects.
    let name = account.user.clone();
    change(site, move |lines| lines.without_user(&name).without_group(&name)).await?;
    if !site.accounts()?.has_user(user) {
        create(site, account).await?;
    }
    let name = account.user.clone();
    change(site, move |lines| lines.completed(&name)).await?;
    let missing = site.accounts()?.missing_lines(user);
    anyhow::ensure!(
        missing.is_empty(),
        "the user {user} has no line in {} (vipw and vigr show these files)",
        missing.join(" and ")
    );
    Ok(())
}

async fn create(site: &Site, account: &Account) -> anyhow::Result<()> {
    let mut arguments = vec![
        "--system",
        "--home-dir",
        layout::MESOSPHERE,
        "--shell",
        layout::NO_LOGIN,
        "-c",
        "DCOS System User",
        // shadow 4.8 and older change the login records of the number that they take, which an
        // uninstall could not give back.
        "--no-log-init",
    ];
    match account.group.as_deref() {
        Some(group) => arguments.extend(["-g", group]),
        // A group of that name that is left from before would make `--user-group` fail.
        None if site.accounts()?.has_group(&account.user) => {
            arguments.extend(["-g", &account.user])
        }
        None => arguments.push("--user-group"),
    }
    arguments.push(&account.user);
    run(site, Tool::Useradd, &arguments).await
}

/// What was made of an account.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    /// The user.
    pub(crate) user: bool,
    /// The group of the same name.
    pub(crate) group: bool,
    /// The number of that group, if it was there before.
    pub(crate) group_before: Option<u32>,
}

/// Removes what was made of the account, and what a cut of `userdel` left of it, but not a group
/// that others are in. Its home is `/opt/mesosphere` and is not touched.
pub(crate) async fn remove(site: &Site, account: &Account, made: Made) -> anyhow::Result<()> {
    let user = account.user.as_str();
    if has_litter(site)? {
        change(site, |lines| lines).await?;
    }
    if made.user && site.accounts()?.has_user(user) {
        run(site, Tool::Userdel, &[user]).await?;
    }
    let now = site.accounts()?;
    if let Some(number) = made.group_before.filter(|_| !now.has_group(user)) {
        // `userdel` removes a user's own group with the user (USERGROUPS_ENAB of `login.defs(5)`),
        // and this one was there before.
        run(site, Tool::Groupadd, &["--gid", &number.to_string(), user])
            .await
            .with_context(|| now.lost_group(user, number))?;
    }
    if made.group
        && now.has_group(user)
        && now.users_of(user).into_iter().all(|member| member == user)
    {
        run(site, Tool::Groupdel, &[user]).await?;
    }
    let name = account.user.clone();
    let rest = move |lines: AccountLines| {
        let lines = if made.user { lines.without_user(&name) } else { lines };
        if made.group { lines.without_group(&name) } else { lines }
    };
    let lines = AccountLines::load(|path| site.root.read(path, LONGEST))?;
    if rest.clone()(lines.clone()) != lines {
        change(site, rest).await?;
    }
    Ok(())
}

/// Changes lines of the account files while no program for accounts is at work. What a dead one
/// left beside them is removed first.
async fn change(
    site: &Site,
    edit: impl FnOnce(AccountLines) -> AccountLines + Send + 'static,
) -> anyhow::Result<()> {
    site.blocking(move |site| {
        let lock = site.root.at(layout::ACCOUNT_LOCK);
        let _lock = account_lock::take(&lock, PATIENCE, &site.cancellation)?;
        for file in layout::LOCKED_FILES {
            // Locks of an image are of programs that ran on this machine, or are dead.
            account_litter::remove(Path::new(layout::PROC), &site.root.resolved(file))?;
            files::remove_staging(&site.root.resolved(file))?;
        }
        let before = AccountLines::load(|path| site.root.read(path, LONGEST))?;
        let after = edit(before.clone());
        for (path, text) in after.changed_since(&before) {
            let path = site.root.resolved(path);
            let Some(stat) = files::lstat(&path)? else { continue };
            files::place(&path, text, stat.mode, Some((stat.uid, stat.gid)))?;
            site.label(&[&path]);
        }
        Ok(())
    })
    .await
}

fn has_litter(site: &Site) -> Result<bool, files::Error> {
    for file in layout::LOCKED_FILES {
        if account_litter::exists(&site.root.resolved(file))? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn run(site: &Site, tool: Tool, arguments: &[&str]) -> anyhow::Result<()> {
    let name = tool.name();
    let program = tool.find(PROGRAMS).with_context(|| {
        format!("the program {name} is not on this machine (package passwd or shadow-utils)")
    })?;
    let mut all: Vec<String> = Vec::new();
    if !site.root.is_live() {
        all.extend(["--root".to_owned(), site.root.directory().display().to_string()]);
    }
    all.extend(arguments.iter().map(|a| (*a).to_owned()));
    let command = Command {
        program,
        args: all.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), PROGRAMS.into())],
    };
    let output = process::run(&command, LIMIT).await;
    if !output.as_ref().is_ok_and(Output::success) && has_litter(site)? {
        // It left a lock and a new text that cannot take the place of a file. Why it failed counts
        // more than why these stay.
        let _ = change(site, |lines| lines).await;
    }
    let output = output?;
    anyhow::ensure!(
        output.success(),
        "{name} {} failed: {}",
        arguments.last().unwrap_or(&""),
        String::from_utf8_lossy(&output.stderr.bytes).trim()
    );
    // The programs sync the new files, but not the directory that they are renamed in.
    let accounts = site.root.resolved(layout::PASSWD);
    Ok(files::sync_directory(accounts.parent().unwrap_or(&accounts))?)
}
