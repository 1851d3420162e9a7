//! What can go wrong between us and systemd.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::system::cancellation::Cancelled;

/// A failed call, or no way to make one. The text names the operation and its object; the reason is
/// the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// systemd answers on neither of its sockets: it is not this machine's init, or it hangs.
    #[error(
        "systemd does not answer: on {}: {bus_reason}; on {}: {private_reason}",
        bus.display(),
        private.display()
    )]
    NotRunning {
        /// The socket of the system bus.
        bus: PathBuf,
        /// Why it is of no use.
        bus_reason: String,
        /// systemd's own socket.
        private: PathBuf,
        /// Why it is of no use.
        private_reason: String,
    },
    /// This user may not do that; root may, unless a security module says otherwise.
    #[error("{}: access denied", what(member, object))]
    AccessDenied {
        /// The D-Bus member.
        member: &'static str,
        /// The unit or other object, empty for systemd itself.
        object: String,
        /// systemd's words.
        source: Refusal,
    },
    /// There is no file for the unit.
    #[error("{}: no such unit", what(member, unit))]
    NoSuchUnit {
        /// The D-Bus member.
        member: &'static str,
        /// The unit or, where several were asked for, all of them.
        unit: String,
        /// systemd's words.
        source: Refusal,
    },
    /// The service has no main process.
    #[error("{}: it has no main process", what(member, unit))]
    NoSuchProcess {
        /// The D-Bus member.
        member: &'static str,
        /// The service.
        unit: String,
        /// systemd's words.
        source: Refusal,
    },
    /// A link cannot be made because another file or link has its name.
    #[error("{}: the name is taken", what(member, unit))]
    UnitExists {
        /// The D-Bus member.
        member: &'static str,
        /// The unit or, where several were asked for, all of them.
        unit: String,
        /// systemd's words.
        source: Refusal,
    },
    /// No answer in time. What was asked may still happen.
    #[error("{}: not done within {limit:?}", what(member, object))]
    Deadline {
        /// The D-Bus member, or `wait`.
        member: &'static str,
        /// The unit or other object, empty for systemd itself.
        object: String,
        /// The time that was given.
        limit: Duration,
    },
    /// The connection ended before the answer, and the call is not one to repeat blindly. It may
    /// have been done.
    #[error("{}: the connection ended before the answer", what(member, object))]
    Disconnected {
        /// The D-Bus member.
        member: &'static str,
        /// The unit or other object, empty for systemd itself.
        object: String,
        /// How it ended.
        source: Refusal,
    },
    /// systemd refused for another reason, or answered what we cannot read.
    #[error("{}: failed", what(member, object))]
    Call {
        /// The D-Bus member.
        member: &'static str,
        /// The unit or other object, empty for systemd itself.
        object: String,
        /// systemd's words.
        source: Refusal,
    },
    /// The wait for the answer was ended. What was asked may still happen.
    #[error("cannot wait for systemd")]
    Cancelled(#[from] Cancelled),
}

/// A D-Bus error, or its like from our side of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The D-Bus name of the error, as `org.freedesktop.systemd1.UnitMasked`; empty for one that
    /// systemd did not send.
    pub name: String,
    /// The text that came with it.
    pub message: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (name, "") => f.write_str(name),
            (name, message) => write!(f, "{message} ({name})"),
        }
    }
}

impl Refusal {
    /// One of our own side, without a D-Bus name.
    pub(super) fn local(message: impl fmt::Display) -> Refusal {
        Refusal { name: String::new(), message: message.to_string() }
    }

    /// One of systemd's: `name` is the last part, after `org.freedesktop.systemd1.`.
    #[cfg(any(test, feature = "fake"))]
    pub(super) fn systemd(name: &str, message: impl fmt::Display) -> Refusal {
        Refusal { name: format!("org.freedesktop.systemd1.{name}"), message: message.to_string() }
    }

    /// The name without its prefix, where it is one of systemd's or of D-Bus' own; systemd sends
    /// the latter for errno values.
    pub(super) fn short_name(&self) -> &str {
        ["org.freedesktop.systemd1.", "org.freedesktop.DBus.Error."]
            .iter()
            .find_map(|prefix| self.name.strip_prefix(prefix))
            .unwrap_or(&self.name)
    }

    /// Nobody owned systemd's name when the call arrived at the bus: systemd is executing itself
    /// anew, or was cut off.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self.short_name(), "ServiceUnknown" | "NameHasNoOwner")
            || self.short_name().starts_with("Spawn.")
    }

    /// The error that this is as the answer to `member` about `object`.
    pub(super) fn of(self, member: &'static str, object: impl Into<String>) -> Error {
        let object = object.into();
        match self.short_name() {
            "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => {
                Error::AccessDenied { member, object, source: self }
            }
            // The latter is the errno of a file operation, which is all that systemd 219 tells
            // (`unit_file_add_dependency()`).
            "NoSuchUnit" | "FileNotFound" => {
                Error::NoSuchUnit { member, unit: object, source: self }
            }
            // Without a unit in memory there is no process either; before systemd 246 ESRCH came as
            // it is.
            "NoSuchProcess" | "UnixProcessIdUnknown" => {
                Error::NoSuchProcess { member, unit: object, source: self }
            }
            "UnitExists" | "FileExists" => Error::UnitExists { member, unit: object, source: self },
            _ => Error::Call { member, object, source: self },
        }
    }
}

/// The operation and its object in one phrase.
fn what(member: &str, object: &str) -> String {
    if object.is_empty() {
        format!("systemd {member}")
    } else {
        format!("systemd {member} {object}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_does_not_repeat_its_source() {
        let error = Refusal::systemd("NoSuchUnit", "Unit a.service not found.")
            .of("StartUnit", "a.service");
        assert_eq!(error.to_string(), "systemd StartUnit a.service: no such unit");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(
            source.to_string(),
            "Unit a.service not found. (org.freedesktop.systemd1.NoSuchUnit)"
        );
    }

    #[test]
    fn the_names_of_old_and_new_systemd_mean_the_same() {
        let dbus = |name: &str| Refusal {
            name: format!("org.freedesktop.DBus.Error.{name}"),
            message: String::new(),
        };
        assert!(matches!(
            dbus("FileNotFound").of("AddDependencyUnitFiles", "a.service"),
            Error::NoSuchUnit { .. }
        ));
        assert!(matches!(
            dbus("FileExists").of("AddDependencyUnitFiles", "a.service"),
            Error::UnitExists { .. }
        ));
        assert!(matches!(
            dbus("AccessDenied").of("StartUnit", "a.service"),
            Error::AccessDenied { .. }
        ));
        assert!(matches!(dbus("UnknownMethod").of("Freeze", "a.service"), Error::Call { .. }));
        assert!(
            dbus("ServiceUnknown").is_absence()
                && dbus("Spawn.ChildExited").is_absence()
                && !dbus("NoReply").is_absence()
        );
    }

    #[test]
    fn error_about_systemd_itself_has_no_object() {
        let error = Error::Deadline {
            member: "Reload",
            object: String::new(),
            limit: Duration::from_secs(25),
        };
        assert_eq!(error.to_string(), "systemd Reload: not done within 25s");
    }
}
