//! A set of packages that may be active together on a node of one role, with everything that
//! follows from it.
//!
//! All rules of `pkgpanda/__init__.py` (validate_compatible, Install.activate, UserManagement) are
//! judged here before anything is switched, and every problem is reported, not only the first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::environment;
use super::farm::{Conflict, Farm};
use super::id::PackageId;
use super::layout;
use super::package::Package;
use super::role::Role;
use super::units;

/// Written by the activation itself, so no package may bring it.
const SERVICE_CONFIGURATION: &str = "etc/dcos-service-configuration.json";

/// A valid set and all that is derived from it.
#[derive(Clone, Debug)]
pub struct ActiveSet {
    /// Sorted by id: the order of the paragraphs in `environment` (pkgpanda's is a Python set's,
    /// and differs from run to run).
    pub packages: Vec<Package>,
    /// The role it is for.
    pub role: Role,
    /// The symlink tree.
    pub farm: Farm,
}

/// A system account that packages ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    /// Begins with `dcos_`.
    pub user: String,
    /// Its primary group; none means a group of the user's own name.
    pub group: Option<String>,
}

/// A directory below `/var/lib/dcos` that a package asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory {
    /// As the node sees it.
    pub path: PathBuf,
    /// Gets it, with all below it; the group is not changed.
    pub owner: Option<String>,
}

/// One reason why packages cannot be active together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Two versions of one package.
    #[error("{first} and {second} are two versions of one package")]
    RepeatedName {
        /// In order of ids.
        first: PackageId,
        /// In order of ids.
        second: PackageId,
    },
    /// A requirement is not in the set.
    #[error("{package} requires {requirement}, which is not in the set")]
    MissingRequirement {
        /// Who requires it.
        package: PackageId,
        /// The name it requires.
        requirement: String,
    },
    /// A group alone makes no account.
    #[error("{package} has `group` without `username`")]
    GroupWithoutUser {
        /// Whose pkginfo.json it is.
        package: PackageId,
    },
    /// Packages that share a user must agree on its group.
    #[error("{package} wants {user} in the group {wanted}, another package in {other}")]
    AccountDisagreement {
        /// The later one.
        package: PackageId,
        /// The shared user.
        user: String,
        /// What this package wants.
        wanted: String,
        /// What the earlier package wanted.
        other: String,
    },
    /// LD_LIBRARY_PATH or PATH.
    #[error("{package} sets {variable}, which is reserved")]
    ReservedVariable {
        /// Whose pkginfo.json it is.
        package: PackageId,
        /// The variable.
        variable: String,
    },
    /// Two packages set one variable.
    #[error("{first} and {second} both set {variable}")]
    RepeatedVariable {
        /// In order of ids.
        first: PackageId,
        /// In order of ids.
        second: PackageId,
        /// The variable.
        variable: String,
    },
    /// Two services want different values of one kernel setting.
    #[error("{package} sets {setting} to {value}, another service to {other}")]
    SysctlDisagreement {
        /// The later one.
        package: PackageId,
        /// The kernel setting.
        setting: String,
        /// Its value here.
        value: Value,
        /// Its value there.
        other: Value,
    },
    /// Kernel settings need a service that they belong to.
    #[error("{package} has `sysctl` but no service that it could belong to")]
    SysctlWithoutService {
        /// Whose pkginfo.json it is.
        package: PackageId,
    },
    /// Two packages claim one path.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A unit name that the installer itself uses.
    #[error("{package} brings the unit {unit}, a reserved name")]
    ReservedUnit {
        /// Where the file is.
        package: String,
        /// The name.
        unit: String,
    },
    /// Something in `dcos.target.wants` that systemd would not take as a unit.
    #[error("{path} is not the name of a unit")]
    NotAUnit {
        /// Relative to `dcos.target.wants`.
        path: String,
    },
    /// The file that activation writes.
    #[error("a package brings {SERVICE_CONFIGURATION}, which activation writes itself")]
    ServiceConfiguration,
}

impl ActiveSet {
    /// Judges the packages and links them for one role.
    ///
    /// # Errors
    /// Every problem there is.
    pub fn new(mut packages: Vec<Package>, role: Role) -> Result<ActiveSet, Vec<Problem>> {
        packages.sort_by(|a, b| a.id.cmp(&b.id));
        let mut problems = Vec::new();
        names_are_unique(&packages, &mut problems);
        requirements_are_met(&packages, &mut problems);
        accounts_agree(&packages, &mut problems);
        variables_are_unique(&packages, &mut problems);
        kernel_settings_agree(&packages, &mut problems);
        let farm = match Farm::link(&packages, role) {
            Ok(farm) => farm,
            Err(conflicts) => {
                problems.extend(conflicts.into_iter().map(Problem::from));
                Farm::default()
            }
        };
        units_are_allowed(&farm, &mut problems);
        if problems.is_empty() { Ok(ActiveSet { packages, role, farm }) } else { Err(problems) }
    }

    /// The units of the role: name, and the file in the repository as the node sees it.
    pub fn units(&self) -> Vec<(String, PathBuf)> {
        self.farm
            .units()
            .map(|(name, file)| (name.to_string_lossy().into_owned(), file.to_owned()))
            .collect()
    }

    /// Accounts of all packages, those of other roles too, each once.
    pub fn accounts(&self) -> BTreeSet<Account> {
        let mut by_user: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for package in &self.packages {
            if let Some(user) = &package.info.username {
                let group = by_user.entry(user).or_default();
                *group = group.or(package.info.group.as_deref());
            }
        }
        by_user
            .into_iter()
            .map(|(user, group)| Account { user: user.to_owned(), group: group.map(str::to_owned) })
            .collect()
    }

    /// State directories of all packages, those of other roles too.
    pub fn state_directories(&self) -> Vec<StateDirectory> {
        let wanted = self.packages.iter().filter(|p| p.info.state_directory);
        wanted
            .map(|p| StateDirectory {
                path: layout::state_directory(p.id.name()),
                owner: p.info.username.clone(),
            })
            .collect()
    }

    /// The text of `environment`.
    pub fn environment(&self) -> String {
        environment::for_units(&self.packages)
    }

    /// The text of `environment.export`.
    pub fn environment_export(&self) -> String {
        environment::for_shells(&self.packages)
    }

    /// The text of `active.buildinfo.full.json`: build info by package name, null where a package
    /// has none.
    pub fn build_info(&self) -> String {
        let all = self
            .packages
            .iter()
            .map(|p| (p.id.name().to_owned(), p.buildinfo.clone().unwrap_or(Value::Null)));
        python_json(&Value::Object(all.collect()))
    }

    /// The text of `etc/dcos-service-configuration.json`: kernel settings by service, for the
    /// services that the packages really have.
    pub fn service_configuration(&self) -> String {
        let mut settings = Map::new();
        for package in &self.packages {
            for (service, values) in &package.info.sysctl {
                if package.services.contains(service) {
                    settings.insert(service.clone(), Value::Object(values.clone()));
                }
            }
        }
        python_json(&serde_json::json!({ "sysctl": settings }))
    }
}

fn names_are_unique(packages: &[Package], problems: &mut Vec<Problem>) {
    for pair in packages.windows(2) {
        if let [first, second] = pair
            && first.id.name() == second.id.name()
        {
            problems
                .push(Problem::RepeatedName { first: first.id.clone(), second: second.id.clone() });
        }
    }
}

fn requirements_are_met(packages: &[Package], problems: &mut Vec<Problem>) {
    let names: BTreeSet<&str> = packages.iter().map(|p| p.id.name()).collect();
    for package in packages {
        for requirement in
            package.info.requires.iter().filter(|name| !names.contains(name.as_str()))
        {
            problems.push(Problem::MissingRequirement {
                package: package.id.clone(),
                requirement: requirement.clone(),
            });
        }
    }
}

fn accounts_agree(packages: &[Package], problems: &mut Vec<Problem>) {
    let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
    for package in packages {
        let (user, group) = (package.info.username.as_deref(), package.info.group.as_deref());
        match (user, group) {
            (None, Some(_)) => {
                problems.push(Problem::GroupWithoutUser { package: package.id.clone() })
            }
            (Some(user), Some(wanted)) => {
                let other = *groups.entry(user).or_insert(wanted);
                if other != wanted {
                    problems.push(Problem::AccountDisagreement {
                        package: package.id.clone(),
                        user: user.into(),
                        wanted: wanted.into(),
                        other: other.into(),
                    });
                }
            }
            _ => {}
        }
    }
}

fn variables_are_unique(packages: &[Package], problems: &mut Vec<Problem>) {
    let mut owner: BTreeMap<&str, &PackageId> = BTreeMap::new();
    for package in packages {
        for (variable, _) in &package.info.environment {
            if environment::RESERVED.contains(&variable.as_str()) {
                problems.push(Problem::ReservedVariable {
                    package: package.id.clone(),
                    variable: variable.clone(),
                });
            } else if let Some(first) = owner.insert(variable, &package.id) {
                problems.push(Problem::RepeatedVariable {
                    first: first.clone(),
                    second: package.id.clone(),
                    variable: variable.clone(),
                });
            }
        }
    }
}

fn kernel_settings_agree(packages: &[Package], problems: &mut Vec<Problem>) {
    let mut known: BTreeMap<&str, &Value> = BTreeMap::new();
    for package in packages {
        if !package.info.sysctl.is_empty() && package.services.is_empty() {
            problems.push(Problem::SysctlWithoutService { package: package.id.clone() });
        }
        for (setting, value) in package.info.sysctl.values().flatten() {
            let other = *known.entry(setting).or_insert(value);
            if other != value {
                problems.push(Problem::SysctlDisagreement {
                    package: package.id.clone(),
                    setting: setting.clone(),
                    value: value.clone(),
                    other: other.clone(),
                });
            }
        }
    }
}

fn units_are_allowed(farm: &Farm, problems: &mut Vec<Problem>) {
    for (name, file) in farm.units() {
        let text = name.to_string_lossy();
        if units::RESERVED.contains(&text.as_ref()) {
            problems.push(Problem::ReservedUnit {
                package: file.display().to_string(),
                unit: text.into_owned(),
            });
        } else if !units::is_unit_name(&text) {
            problems.push(Problem::NotAUnit { path: text.into_owned() });
        }
    }
    if farm.entries.contains_key(std::path::Path::new(SERVICE_CONFIGURATION)) {
        problems.push(Problem::ServiceConfiguration);
    }
}

/// JSON as Python writes it with `indent=2, sort_keys=True, separators=(',', ':')`, which is how
/// pkgpanda does (`pkgpanda/util.py`, write_json).
pub fn python_json(value: &Value) -> String {
    let mut text = String::new();
    write_python(value, 0, &mut text);
    text
}

fn write_python(value: &Value, depth: usize, text: &mut String) {
    let newline = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            text.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                newline(text, depth + 1);
                write_ascii(key, text);
                text.push(':');
                write_python(value, depth + 1, text);
            }
            newline(text, depth);
            text.push('}');
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('[');
            for (index, value) in list.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                newline(text, depth + 1);
                write_python(value, depth + 1, text);
            }
            newline(text, depth);
            text.push(']');
        }
        Value::String(string) => write_ascii(string, text),
        other => text.push_str(&other.to_string()),
    }
}

/// A JSON string with everything beyond ASCII escaped, as Python's `ensure_ascii` does.
fn write_ascii(string: &str, text: &mut String) {
    for c in Value::from(string).to_string().chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
