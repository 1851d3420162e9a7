//! A swap of active sets that pkgpanda began and did not finish: what is left to do
//! (`pkgpanda/__init__.py`, swap_active).
//!
//! pkgpanda writes `install_progress`, moves every live name to `NAME.old` (stage `archive`), then
//! every `NAME.new` to `NAME` (stage `move_new`), gives the copied units their names, and removes
//! `install_progress`. Its own recovery demands that every `NAME.new` is there, and so fails once
//! one was moved; where `bin` was moved away it cannot even be started. What stands there tells
//! what is left, whatever the stage: a `NAME.new` is still to come.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::layout;

/// How the copy of a unit ends that is not live yet (`pkgpanda/__init__.py`, stage_new_units).
const NEW_UNIT: &str = ".unit.new";
/// How a name ends that was live before.
const OLD: &str = ".old";

/// Which half of the swap pkgpanda says it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Live names are moved away.
    Archive,
    /// New names are moved in.
    MoveNew,
}

/// The file `install_progress`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Progress {
    /// Checked for being known: a stage that pkgpanda does not have is of another program.
    #[serde(rename = "stage")]
    _stage: Stage,
    /// Always `.new`; `pkgpanda swap` is not offered to operators.
    extension: String,
}

/// What the node has, as far as the swap goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Of the paths that [`paths`] names, those that are there.
    pub paths: Vec<PathBuf>,
    /// Names in `/etc/systemd/system`.
    pub units: Vec<String>,
    /// Units that the old set wanted: names in `dcos.target.wants.old`, and in the live one while
    /// it is not switched.
    pub old_units: Vec<String>,
    /// Units that the new set wants.
    pub new_units: Vec<String>,
}

/// What is left of a swap. Each step may be done again; done in this order, a kill between two
/// leaves what the next run finishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Old and new name of what is moved; what stands at the new name is older still, and goes.
    pub renames: Vec<(PathBuf, PathBuf)>,
    /// Copies of units that only the old set had.
    pub superseded_units: Vec<PathBuf>,
    /// Everything that may run now, and is stopped before its files change.
    pub units: Vec<String>,
}

/// Why a swap cannot be finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinishable {
    /// The file is not what pkgpanda writes, nor a part of it.
    #[error("{file} is not what pkgpanda writes: {0}", file = layout::INSTALL_PROGRESS)]
    Unknown(String),
    /// Neither the live nor the new form of a name is there.
    #[error(
        "pkgpanda left a swap unfinished, and neither the live nor the new form is there of: {}",
        list(.0)
    )]
    Missing(Vec<PathBuf>),
}

impl Unfinishable {
    /// What to do about it. Units may run on without a name of the active set, so that an uninstall
    /// is advised only where none does.
    pub fn fix(&self) -> String {
        match self {
            Unfinishable::Unknown(_) => format!(
                "if no pkgpanda of this node wrote that file: mv {} /root/, then run the same \
                 command again",
                layout::INSTALL_PROGRESS
            ),
            Unfinishable::Missing(lost) => format!(
                "put back {} from a backup, then dcos-node recover finishes the swap; if nothing \
                 of DC/OS runs on the node any more, dcos-node uninstall removes what is left",
                list(lost)
            ),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// All names that a swap moves, live form.
pub fn names() -> impl Iterator<Item = PathBuf> {
    layout::ACTIVE_NAMES
        .iter()
        .map(|name| layout::active_name(name))
        .chain([PathBuf::from(layout::TARGET_WANTS)])
}

/// The live, the new and the old form of every name.
pub fn paths() -> Vec<PathBuf> {
    names().flat_map(|name| [ending(&name, layout::NEW), ending(&name, OLD), name]).collect()
}

/// The same name in its new form.
pub fn new_form(name: &Path) -> PathBuf {
    ending(name, layout::NEW)
}

/// The same name in its old form.
pub fn old_form(name: &Path) -> PathBuf {
    ending(name, OLD)
}

fn ending(name: &Path, ending: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Swap {
    /// Finds out what is left.
    ///
    /// # Errors
    /// The file is not pkgpanda's, or a name is lost in every form.
    pub fn read(progress: &[u8], present: &Present) -> Result<Swap, Unfinishable> {
        match serde_json::from_slice::<Progress>(progress) {
            Ok(progress) if progress.extension != layout::NEW => {
                return Err(Unfinishable::Unknown(format!("extension {:?}", progress.extension)));
            }
            Ok(_) => {}
            // pkgpanda does not sync the file: a power cut leaves a part of it, or zeros. The names
            // tell what is left.
            Err(error) if error.is_eof() || progress.iter().all(|byte| *byte == 0) => {}
            Err(error) => return Err(Unfinishable::Unknown(error.to_string())),
        }
        let has = |path: &Path| present.paths.iter().any(|p| p == path);
        let lost: Vec<PathBuf> =
            names().filter(|name| !has(name) && !has(&new_form(name))).collect();
        if !lost.is_empty() {
            return Err(Unfinishable::Missing(lost));
        }
        let mut renames = Vec::new();
        for name in names().filter(|name| has(&new_form(name))) {
            if has(&name) {
                renames.push((name.clone(), old_form(&name)));
            }
            renames.push((new_form(&name), name));
        }
        for unit in &present.units {
            if let Some(name) = unit.strip_suffix(NEW_UNIT) {
                renames.push((layout::unit(unit), layout::unit(name)));
            }
        }
        let superseded = present
            .old_units
            .iter()
            .filter(|unit| !present.new_units.contains(unit) && present.units.contains(unit));
        let mut units: Vec<String> =
            present.old_units.iter().chain(&present.new_units).cloned().collect();
        units.sort();
        units.dedup();
        Ok(Swap {
            renames,
            superseded_units: superseded.map(|unit| layout::unit(unit)).collect(),
            units,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVE: &[u8] = br#"{"stage": "archive", "extension": ".new"}"#;

    fn all(forms: &[&str]) -> Vec<PathBuf> {
        names().flat_map(|name| forms.iter().map(move |form| ending(&name, form))).collect()
    }

    #[test]
    fn fresh_swap_moves_every_name_twice_and_active_after_bin() {
        let swap =
            Swap::read(ARCHIVE, &Present { paths: all(&["", ".new"]), ..Present::default() })
                .unwrap();
        assert_eq!(swap.renames.len(), 18);
        assert_eq!(
            swap.renames[0],
            ("/opt/mesosphere/bin".into(), "/opt/mesosphere/bin.old".into())
        );
        assert_eq!(
            swap.renames[1],
            ("/opt/mesosphere/bin.new".into(), "/opt/mesosphere/bin".into())
        );
    }

    #[test]
    fn resumed_swap_does_not_move_a_name_again() {
        let everything =
            Swap::read(ARCHIVE, &Present { paths: all(&["", ".old"]), ..Present::default() })
                .unwrap();
        assert!(everything.renames.is_empty());
        let second_half = Swap::read(
            br#"{"stage":"move_new","extension":".new"}"#,
            &Present { paths: all(&[".old", ".new"]), ..Present::default() },
        );
        assert!(
            second_half
                .unwrap()
                .renames
                .iter()
                .all(|(from, _)| from.to_string_lossy().ends_with(".new"))
        );
    }

    #[test]
    fn swap_links_new_units_and_removes_only_old_ones() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let present = Present {
            paths: all(&["", ".old"]),
            units: words(&["dcos-a.service", "dcos-b.service.unit.new", "ssh.service"]),
            old_units: words(&["dcos-a.service", "dcos-b.service"]),
            new_units: words(&["dcos-b.service"]),
        };
        let swap = Swap::read(ARCHIVE, &present).unwrap();
        assert_eq!(
            swap.renames,
            [(layout::unit("dcos-b.service.unit.new"), layout::unit("dcos-b.service"))]
        );
        assert_eq!(swap.superseded_units, [layout::unit("dcos-a.service")]);
        assert_eq!(swap.units, ["dcos-a.service", "dcos-b.service"]);
    }

    #[test]
    fn progress_cut_by_a_power_cut_is_read_off_the_names() {
        for cut in [&b""[..], b"\0\0\0", b"{\"stage\": \"archi"] {
            let swap = Swap::read(cut, &Present { paths: all(&[".new"]), ..Present::default() });
            assert_eq!(swap.unwrap().renames.len(), 9, "{cut:?}");
            let lost = Swap::read(cut, &Present::default());
            assert!(matches!(lost, Err(Unfinishable::Missing(_))), "{cut:?}");
        }
    }

    #[test]
    fn swap_with_lost_name_or_unknown_file_cannot_be_finished() {
        let mut paths = all(&["", ".new"]);
        paths.retain(|path| !path.to_string_lossy().contains("lib"));
        let lost = Swap::read(ARCHIVE, &Present { paths, ..Present::default() }).unwrap_err();
        assert!(lost.to_string().ends_with("of: /opt/mesosphere/lib"), "{lost}");
        for strange in [
            &b"{}"[..],
            br#"{"stage":"fly","extension":".new"}"#,
            br#"{"stage":"archive","extension":".old"}"#,
        ] {
            assert!(matches!(
                Swap::read(strange, &Present::default()),
                Err(Unfinishable::Unknown(_))
            ));
        }
    }
}
