//! Texts that are made from the definition of the command line.

/// Completions for a shell.
pub(super) fn completions(mut command: clap::Command, shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "dcos-node", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The manual page of the program and of every subcommand, one after another.
pub(super) fn manual(mut command: clap::Command) -> String {
    let mut text = Vec::new();
    command.build();
    let render = |command: &clap::Command, text: &mut Vec<u8>| clap_mangen::Man::new(command.clone()).render(text);
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for page in pages {
        if render(page, &mut text).is_err() {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
