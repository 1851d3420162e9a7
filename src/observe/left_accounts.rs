//! Accounts that pkgpanda made, and what they own outside of DC/OS' places.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::found::Found;
use super::node::Node;
use crate::dcos::active_set::Account;
use crate::dcos::pkginfo::PackageInfo;
use crate::dcos::receipt::Object;
use crate::dcos::{data, layout, leftovers};
use crate::system::root::Root;
use crate::system::{mounts, survey};

/// So many paths are looked at in each place; an uninstall is to take minutes.
const MOST: usize = 2_000_000;
/// Kinds of file systems on the network or in a program, which may be endless or asleep.
const REMOTE: [&str; 9] = ["nfs", "cifs", "smb", "fuse", "ceph", "gluster", "9p", "autofs", "afs"];

/// Whose files are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    User(u32),
    Group(u32),
}

/// Finds the accounts, those with a group of their own first. Where our receipt stands, only
/// packages that came later ask for more.
pub(super) fn look(root: &Root, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let asked_for = asked_for(root, node)?;
    let known = |user: &str| {
        asked_for.contains(user) || (node.receipt.is_none() && leftovers::USERS.contains(&user))
    };
    let accounts = &node.accounts;
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for user in accounts.names().filter(|user| known(user) && !is_recorded(node, user)) {
        let user_made = accounts.is_of_system(user) && !node.manual_accounts;
        if accounts.has_user(user) && !user_made {
            let why = if node.manual_accounts {
                "made by an operator (manual_host_users)"
            } else {
                "no system account without a login"
            };
            found.leave(layout::PASSWD, &format!("the user {user}: {why}"));
            continue;
        }
        let other = accounts
            .users_of(user)
            .into_iter()
            .find(|member| !known(member) && !is_recorded(node, member));
        if let Some(other) = other.filter(|_| accounts.has_group(user)) {
            found.leave(layout::GROUP, &format!("the group {user}: {other} is in it"));
        }
        // What `userdel` did not come to when it was cut.
        let left = accounts.leftover_lines(user);
        let left = |file| left.contains(&file) && !node.manual_accounts;
        let group_made = left(layout::GSHADOW)
            || accounts.is_group_of_system(user) && other.is_none() && !node.manual_accounts;
        let lines_made = user_made || left(layout::SHADOW);
        if lines_made || group_made {
            let group =
                accounts.primary_group(user).filter(|group| *group != user).map(str::to_owned);
            let object = Object::Account {
                account: Account { user: user.to_owned(), group },
                user_made: lines_made,
                group_made,
                group_before: None,
            };
            // A group alone may be an operator's: its name is no trace of DC/OS.
            if user_made { ours.push(object) } else { beside.push(object) }
        }
    }
    found.objects.extend(beside);
    // Undone from the last to the first: a group goes after the users that are in it.
    ours.sort_by_key(|object| {
        matches!(object, Object::Account { account: Account { group: Some(_), .. }, .. })
    });
    ours.into_iter().for_each(|object| found.add(object));
    Ok(())
}

fn is_recorded(node: &Node, user: &str) -> bool {
    node.inventory()
        .iter()
        .any(|object| matches!(object, Object::Account { account, .. } if account.user == user))
}

/// The users that packages in the repository ask for, of which our receipt knows nothing.
fn asked_for(root: &Root, node: &Node) -> anyhow::Result<BTreeSet<String>> {
    let mut users = BTreeSet::new();
    let inventory = node.inventory();
    let recorded = |name: &str| {
        inventory.iter().any(
            |object| matches!(object, Object::Package { id } if name.parse().as_ref() == Ok(id)),
        )
    };
    for name in root
        .names(layout::REPOSITORY)?
        .into_iter()
        .filter(|name| leftovers::is_package(name) && !recorded(name))
    {
        let path = Path::new(layout::REPOSITORY).join(name).join("pkginfo.json");
        let text = root.read(path, 16 << 20)?.unwrap_or_default();
        // A package that cannot be read asks for nothing; the names that every release has are
        // known.
        users.extend(PackageInfo::parse(&text).ok().and_then(|info| info.username));
    }
    Ok(users)
}

/// The users and groups that an uninstall removes, by their numbers.
fn going(node: &Node, found: &Found) -> BTreeMap<Owner, String> {
    let accounts = &node.accounts;
    let mut going = BTreeMap::new();
    for object in node.inventory().into_iter().chain(found.objects.iter().cloned()) {
        if let Object::Account { account: Account { user, .. }, user_made, group_made, .. } = object
        {
            let others = accounts.users_of(&user).into_iter().any(|member| member != user);
            let number = accounts.user_number(&user).filter(|_| user_made).map(Owner::User);
            let group =
                accounts.group_number(&user).filter(|_| group_made && !others).map(Owner::Group);
            going.extend(number.into_iter().chain(group).map(|owner| (owner, user.clone())));
        }
    }
    going
}

/// Tells of files that go on to exist without an owner: a later account may get the same number.
pub fn owned(root: &Root, node: &Node, found: &mut Found) {
    let going = going(node, found);
    if going.is_empty() {
        return;
    }
    let key = |user, group| {
        [Owner::User(user), Owner::Group(group)].into_iter().find(|owner| going.contains_key(owner))
    };
    let mut skipped: Vec<PathBuf> = data::whole().map(|place| root.at(place.path)).collect();
    skipped.extend([layout::DOCKER_STATE, layout::MESOSPHERE].map(|path| root.at(path)));
    match mounts::all(Path::new(layout::PROC)) {
        Ok(all) => skipped.extend(
            all.into_iter()
                .filter(|m| REMOTE.iter().any(|kind| m.kind.starts_with(kind)))
                .map(|m| m.point),
        ),
        Err(error) => {
            return found
                .unknown
                .push(format!("files of accounts that go were not looked for: {error}"));
        }
    }
    for top in layout::OPERATORS {
        let owned = survey::owned_below(&root.resolved(top), &skipped, MOST, &key);
        found.searched.push(top.into());
        if owned.stopped {
            found.unknown.push(format!(
                "files of accounts that go, in {top}: it holds more than {MOST} paths"
            ));
        }
        for (owner, (path, count)) in owned.by {
            let path = root.as_seen(&path);
            let name = going.get(&owner).map_or("?", String::as_str);
            let more = if count > 1 {
                format!(", and {} more below {top}", count - 1)
            } else {
                String::new()
            };
            let why = match owner {
                Owner::User(number) => format!("owned by {name} (number {number}), who goes{more}"),
                Owner::Group(number) => {
                    format!("owned by the group {name} (number {number}), which goes{more}")
                }
            };
            found.leave(path, &why);
        }
    }
}
