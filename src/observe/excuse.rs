//! Why a detection script may have failed although it is right: DC/OS runs it without confinement.

use std::fmt;
use std::path::Path;

use crate::dcos::{detected, layout};
use crate::system::confine::{Confinement, Limit, Missing, Piece, Refusal, Refused, View};
use crate::system::process::{self, Confined, Output};
use crate::system::program;

/// What a run may have failed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It could not be confined, and was not run.
    NotConfined,
    /// It reached a limit of its confinement.
    Limit(Limit),
    /// It had not ended after a time that DC/OS does not limit.
    Unlimited,
    /// It names a program that is not on the node, and that DC/OS' packages bring.
    AfterInstall(String),
    /// The confinement refused it something.
    Refused(Vec<Refused>),
    /// The confinement may have refused it something, which this kernel cannot say: it complains as
    /// programs then do.
    Complaint(String),
    /// The same: it names a program that does not work in the confinement.
    Program(&'static str),
}

impl Excuse {
    /// What may have caused a failure besides the script. `is_limited`: DC/OS does not wait for it
    /// without end either.
    pub(super) fn find(script: &[u8], is_limited: bool, confined: &Confined) -> Option<Excuse> {
        let Confined { output, confinement, limit, refused } = confined;
        match limit {
            Some(limit @ (Limit::Processes(_) | Limit::Memory(_) | Limit::FileSize(_))) => {
                return Some(Excuse::Limit(*limit));
            }
            Some(Limit::Time(_)) if !is_limited => return Some(Excuse::Unlimited),
            _ => {}
        }
        if let Some(program) = missing_program(script) {
            return Some(Excuse::AfterInstall(program));
        }
        match output {
            _ if !refused.is_empty() => Some(Excuse::Refused(refused.clone())),
            _ if is_heard(confinement) => None,
            _ => guess(script, output),
        }
    }
}

/// The first program that a script names, and that is not on this machine before DC/OS is.
pub(super) fn missing_program(script: &[u8]) -> Option<String> {
    let is_missing = |name: &String| {
        program::find(name, layout::PROGRAM_PATH).is_none() && !Path::new(name).is_dir()
    };
    detected::programs_of_packages(script).into_iter().find(is_missing)
}

/// Whether everything that the confinement refuses is heard of: what the filter does, and a copy of
/// the files refuses nothing.
fn is_heard(confinement: &Confinement) -> bool {
    let is_deaf = |missing: &Missing| missing.piece == Piece::RefusalEvidence;
    confinement.view == View::CopyOnWrite && !confinement.missing.iter().any(is_deaf)
}

/// What a script was perhaps refused, by its words and its complaint.
fn guess(script: &[u8], output: &Output) -> Option<Excuse> {
    if output.signal == Some(process::BAD_SYSTEM_CALL) {
        return Some(Excuse::Complaint("Bad system call".to_owned()));
    }
    let words = detected::refusal(&output.stderr.bytes);
    words
        .map(|words| Excuse::Complaint(words.to_owned()))
        .or_else(|| detected::uses_beyond_confinement(script).map(Excuse::Program))
}

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excuse::NotConfined => f.write_str("it could not be confined"),
            Excuse::Limit(_) => f.write_str("a limit of the confinement, which DC/OS has not"),
            Excuse::Unlimited => f.write_str("DC/OS waits for it without a limit"),
            Excuse::AfterInstall(program) => {
                write!(f, "it names {program}, which is on the node only after the install")
            }
            Excuse::Refused(all) => {
                let (first, others) = all.split_first().ok_or(fmt::Error)?;
                f.write_str(&describe(first))?;
                match others.len() {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
            Excuse::Complaint(words) => write!(f, "may be caused by the confinement: {words}"),
            Excuse::Program(program) => {
                write!(f, "may be caused by the confinement: {program} does not work in it")
            }
        }
    }
}

fn describe(refused: &Refused) -> String {
    let program = refused.program.as_deref().unwrap_or("a program");
    let what = match &refused.what {
        Refusal::ForeignProgram => {
            return format!(
                "the confinement killed {program}, a program for another kind of machine, such as \
                 a 32-bit one"
            );
        }
        Refusal::LocalSocket { path: Some(path) } => format!("the local socket {path}"),
        Refusal::LocalSocket { path: None } => "a local socket".to_owned(),
        Refusal::RawSocket => "a raw socket".to_owned(),
        Refusal::OtherSocket => "a socket that is not of IPv4, IPv6 or netlink".to_owned(),
        Refusal::Mount => "a change of the mounts".to_owned(),
        Refusal::Namespace => "a namespace".to_owned(),
        Refusal::OtherProcess => "access to another process".to_owned(),
        Refusal::FileHandle => "a file by its handle".to_owned(),
        Refusal::SharedIpc => "shared memory, semaphores or a message queue".to_owned(),
        Refusal::Kernel => "a call that asks or changes the kernel's own state".to_owned(),
        Refusal::Terminal => "typing into a terminal".to_owned(),
    };
    format!("the confinement refused {program} {what}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::system::process::Captured;

    fn confined(limit: Option<Limit>) -> Confined {
        Confined {
            output: Output {
                status: None,
                signal: None,
                stdout: Captured::default(),
                stderr: Captured::default(),
                duration: Duration::ZERO,
            },
            confinement: Confinement { view: View::CopyOnWrite, missing: Vec::new() },
            limit,
            refused: Vec::new(),
        }
    }

    #[test]
    fn time_excuses_a_script_that_dcos_waits_for() {
        let late = confined(Some(Limit::Time(Duration::from_secs(30))));
        assert_eq!(Excuse::find(b"#!/bin/sh\n", false, &late), Some(Excuse::Unlimited));
        assert_eq!(Excuse::find(b"#!/bin/sh\n", true, &late), None);
    }

    #[test]
    fn excuse_names_what_was_refused_to_whom() {
        let refused = |what| Refused { what, program: Some("docker".into()) };
        let socket = Refusal::LocalSocket { path: Some("/run/docker.sock".into()) };
        for (excuse, text) in [
            (
                Excuse::Refused(vec![refused(socket), refused(Refusal::Mount)]),
                "the confinement refused docker the local socket /run/docker.sock, and 1 more",
            ),
            (
                Excuse::Refused(vec![refused(Refusal::ForeignProgram)]),
                "the confinement killed docker, a program for another kind of machine, such as a \
                 32-bit one",
            ),
            (
                Excuse::Complaint("Permission denied".into()),
                "may be caused by the confinement: Permission denied",
            ),
            (
                Excuse::Program("docker"),
                "may be caused by the confinement: docker does not work in it",
            ),
        ] {
            assert_eq!(excuse.to_string(), text);
        }
    }
}
