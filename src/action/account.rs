//! Makes and removes system accounts (`pkgpanda/__init__.py`, UserManagement).

use std::time::Duration;

use anyhow::Context;

use super::Site;
use crate::dcos::active_set::Account;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files;
use crate::system::process::{self, Command};
use crate::system::program::Tool;

/// `useradd` waits for the lock of `/etc/passwd` for at most 15 seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Where the programs are, whatever the caller's own PATH.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn objects(site: &Site, account: &Account) -> anyhow::Result<Vec<Object>> {
    let accounts = site.accounts()?;
    let user_made = !accounts.has_user(&account.user);
    let group_made = user_made && account.group.is_none() && !accounts.has_group(&account.user);
    let group_before = accounts.group_number(&account.user).filter(|_| user_made);
    Ok(vec![Object::Account { account: account.clone(), user_made, group_made, group_before }])
}

/// Makes the account unless it is there. An account that is there must have the group that the
/// package wants.
pub(crate) async fn add(site: &Site, account: &Account) -> anyhow::Result<()> {
    if site.accounts()?.has_user(&account.user) {
        return Ok(());
    }
    let mut arguments = vec![
        "--system",
        "--home-dir",
        layout::MESOSPHERE,
        "--shell",
        layout::NO_LOGIN,
        "-c",
        "DCOS System User",
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

/// Removes what was made of the account, but not a group that others are in. Its home is
/// `/opt/mesosphere` and is not touched.
pub(crate) async fn remove(site: &Site, account: &Account, made: Made) -> anyhow::Result<()> {
    let user = account.user.as_str();
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
    Ok(())
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
    let output = process::run(&command, LIMIT).await?;
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
