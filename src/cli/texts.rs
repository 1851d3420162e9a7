//! Texts that are made from the definition of the command line.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::dcos::exit::Exit;

/// Programs of the administrator (`man(1)`).
const SECTION: &str = "8";

/// A page of the manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name of its file.
    pub name: String,
    /// What it holds, for `man(1)`.
    pub text: String,
}

/// Completions for a shell.
pub(super) fn completions(mut command: Command, shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "dcos-node", &mut text);
    // clap_complete's bash names the cases of subcommands otherwise than the words it looks for, if the program's name has a hyphen.
    String::from_utf8_lossy(&text).replace("dcos__subcmd__node", "dcos__node")
}

/// The pages of the program and of every subcommand.
pub(super) fn manual(mut command: Command) -> Vec<Page> {
    command.build();
    let subcommands: Vec<&Command> = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).collect();
    let names: Vec<String> = subcommands.iter().map(|subcommand| format!("dcos-node-{}", subcommand.get_name())).collect();
    let first = page(&command, &[exits(), see_also(&names)]);
    let others = subcommands.iter().map(|subcommand| page(subcommand, &[see_also(&["dcos-node".to_owned()])]));
    std::iter::once(first).chain(others).collect()
}

/// The version is that of the package alone: the same source makes the same pages.
fn page(command: &Command, more: &[Roff]) -> Page {
    let source = concat!("dcos-node ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).section(SECTION).source(source);
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let parts = [Man::render_title, Man::render_name_section, Man::render_synopsis_section, Man::render_description_section];
    parts.iter().for_each(|part| drop(part(&man, &mut text)));
    let _ = man.render_options_section(&mut text);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut text);
    }
    let environment = environment(command);
    std::iter::once(&environment).chain(more).for_each(|part| drop(part.to_writer(&mut text)));
    Page { name: man.get_filename(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// The variables that stand for options.
fn environment(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let variables = arguments.filter_map(|argument| Some((argument.get_env()?.to_string_lossy(), argument.get_long()?)));
    for (index, (variable, option)) in variables.enumerate() {
        if index == 0 {
            roff.control("SH", ["ENVIRONMENT"]);
        }
        roff.control("TP", []);
        roff.text([bold(variable)]);
        roff.text([roman(format!("as --{option}, which prevails"))]);
    }
    roff
}

fn exits() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(exit.explained().meaning.replace('`', ""))]);
    }
    roff
}

fn see_also(names: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let last = names.len().saturating_sub(1);
    for (index, name) in names.iter().enumerate() {
        roff.text([bold(name.as_str()), roman(format!("({SECTION}){}", if index < last { "," } else { "" }))]);
    }
    roff
}
