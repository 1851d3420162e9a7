//! What a run needs before it begins: a command line without passwords, and where its news goes.

use anyhow::bail;
use dcos_node::cli::{self, Invocation};
use dcos_node::command::Failure;
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::layout;
use dcos_node::output::{self, follow};
use dcos_node::system::append::Growing;
use dcos_node::system::journal_socket::JournalSocket;
use dcos_node::system::root::Root;
use dcos_node::system::{process, startup};

/// The node's journal, for what changes this machine.
pub(super) fn journal(invocation: &Invocation) -> Option<JournalSocket> {
    let root = Root::new(&invocation.root);
    let told = root.is_live() && invocation.is_for_the_journal();
    told.then(|| JournalSocket::at(&root.at(layout::JOURNAL_SOCKET)))?
}

/// Where events go as lines of JSON: standard output, a descriptor that the caller opened, or a
/// file. They are not mixed with the one document that `--json` prints, by whatever name standard
/// output was given.
pub(super) fn lines(place: Option<&str>, json: bool) -> Result<Option<follow::Lines>, Failure> {
    let open = |place: &str| -> anyhow::Result<follow::Lines> {
        let file = Growing::named(place)?;
        if json && file.is_standard_output() {
            bail!("--json and --events {place} both want standard output");
        }
        Ok(Box::new(file))
    };
    match place {
        None => Ok(None),
        Some("-") => Ok(Some(follow::stdout())),
        Some(place) => open(place).map(Some).map_err(|error| {
            Failure::new(Exit::Usage, error)
                .leaving("nothing was changed")
                .cured_by("--events takes a file, fd:N or -")
        }),
    }
}

/// Begins again where the command line has a password, before anything is logged: journald reads
/// the command line of a process with each entry, and `ps` shows it to everybody. A process cannot
/// change what the kernel shows without CAP_SYS_RESOURCE or unsafe code; exec can, keeps the
/// process id, and leaves the password in the environment, which only root and this user can read.
pub(super) fn without_passwords() {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(hidden) = cli::hidden(&arguments) {
        output::complaint(&hidden.warning());
        let error = process::begin_again(&hidden.arguments, &hidden.variables);
        output::complaint(&format!("warning: the password stays on the command line: {error}\n"));
    }
}

/// The process lacks what every run needs.
pub(super) fn cannot_start(error: startup::Error) -> Failure {
    let fix = error.fix();
    Failure::new(Exit::Failed, error).leaving("nothing was changed").cured_by(fix)
}
