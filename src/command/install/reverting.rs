//! The ways back from an install that cannot go forward.

use crate::action::journal::Journal;
use crate::action::{self, Site, fetch};
use crate::command::{Failure, World, uninstall};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::id::PackageId;
use crate::dcos::receipt::Object;
use crate::dcos::{layout, store};
use crate::system::files;
use crate::system::root::Root;

/// Packages that are whole but do not fit together. Which of them is wrong is not known, so that
/// none is kept: the server is asked again for all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(pub(super) String);

/// The install failed: the node becomes as it was, and what was verified is kept for the next try.
pub(in crate::command) async fn give_up(
    error: action::Error,
    build: &Build,
    site: &Site,
    journal: &Journal,
    world: &World,
) -> Failure {
    let (exit, cure) = match &error {
        action::Error::Integrity { .. } => (
            Exit::Integrity,
            "put the right archives on the server, then run the same command again",
        ),
        _ => (Exit::Failed, "remove the cause and run the same command again"),
    };
    let keep_packages =
        !matches!(&error, action::Error::Integrity { source, .. } if source.is::<Unfit>());
    let error = anyhow::Error::from(error);
    site.events.warn("the install failed; the node is being made as it was");
    match uninstall::turn_round(site, journal, world.now(), keep_packages).await {
        Ok(ended) if ended.report.open().next().is_some() => {
            let left: Vec<String> =
                ended.report.open().map(|item| format!("{} ({})", item.what, item.why)).collect();
            Failure::new(exit, error)
                .leaving(format!(
                    "the node is not as it was, as far as is known: {}",
                    left.join(", ")
                ))
                .cured_by("dcos-node uninstall makes it clean")
        }
        Ok(uninstall::Ended { kept, .. }) => {
            let kept: Vec<&PackageId> = kept
                .iter()
                .filter_map(|o| if let Object::Package { id } = o { Some(id) } else { None })
                .collect();
            let state = match described(&kept, build, &world.root) {
                Some(kept) => format!(
                    "the node is as it was; {kept} for the next try (dcos-node uninstall removes \
                     them)"
                ),
                None => "the node is as it was".to_owned(),
            };
            Failure::new(exit, error).leaving(state).cured_by(cure)
        }
        Err(second) => Failure::new(exit, error)
            .leaving(format!(
                "the node could not be made as it was: {:#}",
                anyhow::Error::from(second)
            ))
            .cured_by(
                "remove the cause; then the same command installs, and dcos-node uninstall makes \
                 the node clean",
            ),
    }
}

/// Says how many packages are kept, where, and how many of them were compared with the index of
/// this build; none if no package is kept.
pub(in crate::command) fn described(
    kept: &[&PackageId],
    build: &Build,
    root: &Root,
) -> Option<String> {
    let is_in =
        |store: &str| kept.iter().any(|id| files::exists(&root.at(store::package(store, id))));
    let stores = layout::STORES.into_iter().filter(|store| is_in(store)).collect::<Vec<_>>();
    let is_verified = |id: &&&PackageId| {
        let archive = fetch::archive_of(root, id).ok().flatten();
        archive.is_some_and(|archive| build.names(id, &archive))
    };
    let (all, verified) = (kept.len(), kept.iter().filter(is_verified).count());
    let packages = match (all, verified) {
        (0, _) => return None,
        (1, 0) => "1 unverified package is".to_owned(),
        (1, _) => "1 verified package is".to_owned(),
        (_, 0) => format!("{all} unverified packages are"),
        _ if all == verified => format!("{all} verified packages are"),
        _ => format!("{all} packages ({verified} of them verified) are"),
    };
    Some(format!("{packages} kept in {}", stores.join(" and ")))
}

/// Undoes an install that was begun with another build index, or without one: nothing of it counts.
pub(super) async fn undo_all(site: &Site, world: &World) -> Result<(), Failure> {
    world.events.warn(
        "the interrupted install of this node was begun with another build index or without one: \
         all of it is undone, and the install begins anew",
    );
    let journal = Journal::open(&world.root).map_err(uninstall::without_journal)?;
    let half_done = |error: anyhow::Error| {
        Failure::new(Exit::Failed, error)
            .leaving("the interrupted install is half undone")
            .cured_by("remove the cause and run the same command again")
    };
    match uninstall::turn_round(site, &journal, world.now(), false).await {
        Ok(ended) => match ended.report.open().next() {
            None => Ok(()),
            Some(item) => Err(half_done(anyhow::anyhow!(
                "cannot undo the interrupted install: {} ({})",
                item.what,
                item.why
            ))),
        },
        Err(action::Error::Interrupted) => {
            Err(Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted"))
                .leaving("the interrupted install is half undone")
                .cured_by("the same command resumes; dcos-node uninstall makes the node clean"))
        }
        Err(error) => Err(half_done(error.into())),
    }
}
