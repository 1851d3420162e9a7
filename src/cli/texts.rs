//! Texts that are made from the definition of the command line.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::looking::LEGEND;
use super::manual::{Told, told};
use crate::dcos::exit::Exit;

/// The heading of the options that every command has.
pub(super) const GLOBAL: &str = "Global options";

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
    // clap_complete's bash names the cases of subcommands otherwise than the words it looks for, if
    // the program's name has a hyphen.
    let text = String::from_utf8_lossy(&text).replace("dcos__subcmd__node", "dcos__node");
    if shell == clap_complete::Shell::Bash {
        text.replacen(PREVIOUS, &[PREVIOUS, AFTER_EQUALS].concat(), 1)
    } else {
        text
    }
}

/// Where clap_complete's bash learns which word stands before the one that is completed.
const PREVIOUS: &str = "    prev=\"$3\"\n";
/// To bash an equals sign is a word: what stands behind it is of the option before it, and an
/// option whose value may be left out takes it in no other way.
const AFTER_EQUALS: &str = r#"    if [[ "${prev}" == "=" ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    elif [[ "${prev}" =~ ^--(wait|drain)$ && "${COMP_WORDS[COMP_CWORD]}" != "=" ]]; then
        prev=""
    fi
"#;

/// With examples under the help of every command.
pub(super) fn with_examples(mut command: Command) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    for name in names {
        let Some(told) = told(&name) else { continue };
        command = command.mut_subcommand(name, |subcommand| with_examples_of(told, subcommand));
    }
    match told("") {
        Some(told) => with_examples_of(told, command),
        None => command,
    }
}

/// After what the command says there already.
fn with_examples_of(told: &Told, command: Command) -> Command {
    let before = command.get_after_help().map(|text| format!("{text}\n")).unwrap_or_default();
    let examples: String = told
        .examples
        .iter()
        .map(|(what, line)| format!("\n  {}\n      {line}", heading(what)))
        .collect();
    command.after_help(format!("{before}Examples:{examples}"))
}

/// The pages of the program and of every subcommand.
pub(super) fn manual(mut command: Command) -> Vec<Page> {
    command.build();
    let subcommands: Vec<&Command> =
        command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).collect();
    let names: Vec<String> = subcommands
        .iter()
        .map(|subcommand| format!("dcos-node-{}", subcommand.get_name()))
        .collect();
    let everything = Exit::ALL.map(|exit| (exit, exit.explained().meaning));
    let first = page(&command, told(""), &everything, &names);
    let others = subcommands.iter().map(|subcommand| {
        let told = told(subcommand.get_name());
        page(subcommand, told, told.map_or(&[], |told| told.exits), &["dcos-node".to_owned()])
    });
    std::iter::once(first).chain(others).collect()
}

/// The version is that of the package alone: the same source makes the same pages.
fn page(command: &Command, told: Option<&Told>, exits: &[(Exit, &str)], others: &[String]) -> Page {
    let source = concat!("dcos-node ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).section(SECTION).source(source);
    let mut text = Vec::new();
    // Writing to memory does not fail.
    [Man::render_title, Man::render_name_section]
        .iter()
        .for_each(|part| drop(part(&man, &mut text)));
    let mut more = vec![synopsis(command), description(command, told)];
    more.iter().for_each(|part| drop(part.to_writer(&mut text)));
    let _ = man.render_options_section(&mut text);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut text);
    }
    let files = told.map_or(&[][..], |told| told.files);
    more = vec![
        listed(
            "EXIT STATUS",
            exits.iter().map(|(exit, what)| (exit.code().to_string(), what.replace('`', ""))),
        ),
        environment(command),
        listed("FILES", files.iter().map(|(path, what)| ((*path).to_owned(), (*what).to_owned()))),
        examples(told.map_or(&[], |told| told.examples)),
        see_also(others),
    ];
    more.iter().for_each(|part| drop(part.to_writer(&mut text)));
    Page {
        name: man.get_filename(),
        text: as_subsections(command, &String::from_utf8_lossy(&text)),
    }
}

/// Groups of options are made sections of their own; here they are parts of OPTIONS.
fn as_subsections(command: &Command, text: &str) -> String {
    let headings: BTreeSet<&str> =
        command.get_arguments().filter_map(|argument| argument.get_help_heading()).collect();
    headings.into_iter().fold(text.to_owned(), |text, heading| {
        let upper = heading.to_uppercase();
        let quoted =
            |name: &str| if name.contains(' ') { format!("\"{name}\"") } else { name.to_owned() };
        text.replace(&format!(".SH {}\n", quoted(&upper)), &format!(".SS {}\n", quoted(heading)))
    })
}

/// The line to type: each option with its value. Options that every command has are one word.
fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    // Names of options are not taken apart at the end of a line, and blanks are not stretched.
    roff.control("nh", []);
    roff.control("ad", ["l"]);
    let mut line = vec![bold(command.get_bin_name().unwrap_or_else(|| command.get_name()))];
    let (positionals, options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_help_heading() != Some(GLOBAL))
        .partition(|argument| argument.is_positional());
    for option in options {
        let short = option.get_short().map(|short| bold(format!("-{short}")));
        let long = option.get_long().map(|long| bold(format!("--{long}")));
        line.push(roman(" ["));
        let both = short.is_some() && long.is_some();
        line.extend(short);
        line.extend(both.then(|| roman("|")));
        line.extend(long);
        line.extend(value(option));
        line.push(roman(if is_repeatable(option) { "]..." } else { "]" }));
    }
    line.push(roman(" ["));
    line.push(italic("GLOBAL OPTION"));
    line.push(roman("]..."));
    for positional in positionals {
        let (before, after) = if positional.is_required_set() { (" ", "") } else { (" [", "]") };
        line.extend([roman(before), italic(name_of(positional)), roman(after)]);
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    roff.text(line);
    roff.control("ad", []);
    roff.control("hy", []);
    roff
}

/// What comes after the name of an option that takes a value.
fn value(option: &Arg) -> Vec<Inline> {
    if !option.get_action().takes_values() {
        return Vec::new();
    }
    let may_be_left_out = option.get_num_args().is_some_and(|number| number.min_values() == 0);
    match may_be_left_out {
        true => vec![roman("[="), italic(name_of(option)), roman("]")],
        false => vec![roman(" "), italic(name_of(option))],
    }
}

fn name_of(argument: &Arg) -> String {
    let named = argument.get_value_names().and_then(|names| names.first());
    named.map_or_else(|| argument.get_id().as_str().to_uppercase(), ToString::to_string)
}

fn is_repeatable(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append | ArgAction::Count)
}

/// A paragraph each; what the help of verify has under its options comes as it is.
fn description(command: &Command, told: Option<&Told>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in told.map_or(&[][..], |told| told.description) {
        roff.control("PP", []);
        roff.text([roman(*paragraph)]);
    }
    if command.get_name() == "verify" {
        roff.control("PP", []);
        as_it_is(&mut roff, LEGEND);
    }
    roff
}

/// Lines that are not filled. They begin further left than others: they are made for a screen of
/// their own.
fn as_it_is(roff: &mut Roff, text: &str) {
    roff.control("in", ["-5n"]);
    roff.control("EX", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
    roff.control("in", []);
}

/// A question stands for itself.
fn heading(what: &str) -> String {
    if what.ends_with('?') { what.to_owned() } else { format!("{what}:") }
}

fn examples(examples: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (what, line) in examples {
        roff.control("TP", []);
        roff.text([roman(heading(what))]);
        roff.text([bold(*line)]);
    }
    roff
}

/// A section of names, each with what it is; nothing if there are none.
fn listed(title: &str, rows: impl Iterator<Item = (String, String)>) -> Roff {
    let mut roff = Roff::new();
    for (index, (name, what)) in rows.enumerate() {
        if index == 0 {
            roff.control("SH", [title]);
        }
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(what)]);
    }
    roff
}

/// What a variable is held to.
const WORDS: &str = "A variable that is empty counts as not set. That of an option without a value \
                     takes 1, true, yes or on, and 0, false, no or off. What is typed prevails, \
                     also over the variable of an option that contradicts it.";

/// The variables that stand for options.
fn environment(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let variables = arguments
        .filter_map(|argument| Some((argument.get_env()?.to_string_lossy(), argument.get_long()?)));
    for (index, (variable, option)) in variables.enumerate() {
        if index == 0 {
            roff.control("SH", ["ENVIRONMENT"]);
            roff.text([roman(WORDS)]);
        }
        roff.control("TP", []);
        roff.text([bold(variable)]);
        roff.text([roman(format!("as --{option}, which prevails"))]);
    }
    roff
}

fn see_also(names: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let last = names.len().saturating_sub(1);
    for (index, name) in names.iter().enumerate() {
        roff.text([
            bold(name.as_str()),
            roman(format!("({SECTION}){}", if index < last { "," } else { "" })),
        ]);
    }
    roff
}
