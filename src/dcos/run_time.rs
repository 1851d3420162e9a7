//! What DC/OS itself changes of what was installed, while it runs: each thing by its creator. Such
//! a difference is neither damage nor drift.
//!
//! All else that DC/OS' programs write lies inside state directories, below `/run`, or where
//! nothing of an install is.

use std::path::{Component, Path};

use super::difference::{Aspect, Difference, Kind};
use super::layout;

/// Something that a program of DC/OS changes.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// What.
    pub effect: Effect,
    /// Who does it.
    pub creator: &'static str,
    /// In which releases, and where that is written.
    pub source: &'static str,
}

/// Where a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This path.
    Path(&'static str),
    /// This path in the package of this name; a star in a component is any text.
    Package(&'static str, &'static str),
    /// A file or directory of this name in any package; a star is any text.
    Named(&'static str),
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Files come and change, here and below.
    Writes,
    /// The owners of the path itself; its content stays.
    Owners,
}

const fn change(
    place: Place,
    effect: Effect,
    creator: &'static str,
    source: &'static str,
) -> Change {
    Change { place, effect, creator, source }
}

/// Who gives the web interface to its updater, at each start.
const UI_UPDATE: &str = "dcos-ui-update-service.service";
const UI_UPDATE_SOURCE: &str = "masters of 1.13 to 2.2, \
     packages/dcos-ui-update-service/extra/dcos-ui-update-service-pre-start.sh";

/// Every change.
pub const CHANGES: [Change; 11] = [
    change(Place::Named("__pycache__"), Effect::Writes, "Python", "1.10 to 2.2, PEP 3147"),
    change(Place::Named("*.pyc"), Effect::Writes, "Python", "1.10 to 2.2"),
    change(Place::Named("*.pyo"), Effect::Writes, "Python", "1.10 to 2.2"),
    change(
        Place::Package("adminrouter", "nginx/logs"),
        Effect::Writes,
        "dcos-adminrouter[-agent].service",
        "1.10 to 2.2, PIDFile= of packages/adminrouter/extra/systemd",
    ),
    change(
        Place::Package("adminrouter", "nginx/*_temp"),
        Effect::Writes,
        "dcos-adminrouter[-agent].service",
        "1.10 to 2.2, nginx' own places for bodies under way",
    ),
    change(
        Place::Named("erl_crash.dump"),
        Effect::Writes,
        "dcos-net.service; spartan, navstar, epmd",
        "1.10 to 2.2, Erlang in its WorkingDirectory=, which is in the package",
    ),
    change(
        Place::Path(layout::REXRAY_SETTINGS),
        Effect::Writes,
        layout::REXRAY,
        "agents of 1.10 to 2.2, packages/rexray/extra/dcos-rexray.service",
    ),
    // The link in the state directory leads there, and chown follows it.
    change(Place::Package("dcos-ui", "usr"), Effect::Owners, UI_UPDATE, UI_UPDATE_SOURCE),
    change(Place::Path(layout::UI_UPDATE_STATE), Effect::Owners, UI_UPDATE, UI_UPDATE_SOURCE),
    // The script of the first builds with the updater kept its state in its package.
    change(
        Place::Package("dcos-ui-update-service", "versions"),
        Effect::Writes,
        UI_UPDATE,
        UI_UPDATE_SOURCE,
    ),
    change(
        Place::Package("dcos-ui-update-service", "dist"),
        Effect::Writes,
        UI_UPDATE,
        UI_UPDATE_SOURCE,
    ),
];

/// The change that explains a difference; what is missing is explained by none.
pub fn change_of(difference: &Difference) -> Option<&'static Change> {
    CHANGES.iter().find(|change| change.explains(difference))
}

impl Change {
    fn explains(&self, difference: &Difference) -> bool {
        let Some(path) = difference.object.path() else { return false };
        match (self.effect, difference.kind) {
            (_, Kind::Missing) => false,
            (Effect::Writes, _) => self.place.has(path, true),
            (Effect::Owners, Kind::Changed) => {
                self.place.has(path, false)
                    && difference.details.iter().all(|detail| {
                        matches!(detail.aspect, Aspect::User | Aspect::Group | Aspect::Mode)
                    })
            }
            (Effect::Owners, Kind::Extra) => false,
        }
    }
}

impl Place {
    /// Whether a path is at this place, or `or_below` it.
    fn has(self, path: &Path, or_below: bool) -> bool {
        match self {
            Place::Path(place) => {
                if or_below {
                    path.starts_with(place)
                } else {
                    path == Path::new(place)
                }
            }
            Place::Named(pattern) => path.file_name().is_some_and(|name| fits(name, pattern)),
            Place::Package(package, place) => {
                let Ok(below) = path.strip_prefix(layout::REPOSITORY) else { return false };
                let mut parts = below.components();
                let is_package = parts.next().is_some_and(|id| {
                    let id = id.as_os_str().to_string_lossy();
                    id.split_once("--").is_some_and(|(name, _)| name == package)
                });
                let is_there = Path::new(place).components().all(|wanted| {
                    parts.next().is_some_and(|part| {
                        fits(part.as_os_str(), &wanted.as_os_str().to_string_lossy())
                    })
                });
                let is_end = !matches!(parts.next(), Some(Component::Normal(_)));
                is_package && is_there && (or_below || is_end)
            }
        }
    }
}

/// Whether a name is a pattern with one star at most.
fn fits(name: &std::ffi::OsStr, pattern: &str) -> bool {
    let name = name.to_string_lossy();
    match pattern.split_once('*') {
        Some((begins, ends)) => {
            name.len() >= begins.len() + ends.len()
                && name.starts_with(begins)
                && name.ends_with(ends)
        }
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::difference::Detail;

    fn is_explained(difference: &Difference) -> bool {
        change_of(difference).is_some()
    }

    #[test]
    fn files_written_by_dcos_are_no_damage_but_lost_files_are() {
        let extra = |path: &str| is_explained(&Difference::extra(path, ""));
        assert!(extra("/p/lib/__pycache__/a.pyc") && extra("/p/lib/__pycache__"));
        assert!(!extra("/p/lib/__pycache__/run.sh"));
        assert!(!is_explained(&Difference::missing("/p/lib/a.pyc", "")));
        let nginx =
            |below: &str| extra(&format!("/opt/mesosphere/packages/adminrouter--1/nginx/{below}"));
        assert_eq!(
            ["logs/nginx.pid", "proxy_temp", "proxy_temp/1", "conf/x"].map(nginx),
            [true, true, true, false]
        );
        assert!(extra("/opt/mesosphere/packages/dcos-net--1/dcos-net/erl_crash.dump"));
    }

    #[test]
    fn owners_given_away_by_dcos_are_no_damage_but_content_is() {
        let changed = |path: &str, aspect| {
            let detail = Detail { aspect, was: "0".into(), is: "1".into() };
            is_explained(&Difference::changed(path, "", vec![detail]).unwrap())
        };
        for path in
            ["/opt/mesosphere/packages/dcos-ui--1/usr", "/var/lib/dcos/dcos-ui-update-service"]
        {
            assert!(changed(path, Aspect::Group) && changed(path, Aspect::User), "{path}");
            assert!(!changed(path, Aspect::Kind), "{path}");
            assert!(!is_explained(&Difference::extra(path, "")), "{path}");
        }
        assert!(!changed("/opt/mesosphere/packages/dcos-ui--1/usr/index.html", Aspect::Group));
        assert!(!changed("/opt/mesosphere/packages/other--1/usr", Aspect::Group));
        assert!(!changed("/var/lib/dcos/exhibitor", Aspect::User));
    }

    #[test]
    fn every_run_time_change_names_creator_and_source() {
        for Change { place, creator, source, .. } in CHANGES {
            assert!(!creator.is_empty() && source.contains("2.2"), "{place:?}");
        }
    }
}
