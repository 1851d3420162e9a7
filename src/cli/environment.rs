//! What stands in the environment for options. It is read after the command line, and put behind it
//! as if it were typed, where that left it open: what was typed prevails, over the variable of the
//! same option and over that of an option that contradicts it.

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::refusal::{Refused, with_tip};
use super::waiting;
use crate::dcos::level::Level;

/// The variable of `--json`.
const JSON_VARIABLE: &str = "DCOS_NODE_JSON";

/// How a variable is looked up.
pub(super) type Variables<'a> = &'a dyn Fn(&OsStr) -> Option<OsString>;

/// A command line, with what the environment adds to it.
pub(super) struct Matched {
    /// What was typed.
    pub(super) typed: ArgMatches,
    /// The same, and what was not.
    pub(super) all: ArgMatches,
    added: Vec<Added>,
}

/// An option that was not typed, and its variable.
struct Added {
    long: String,
    variable: String,
    words: Vec<OsString>,
}

/// Matches a command line, then the same with the environment behind it.
pub(super) fn matched(
    definition: &Command,
    arguments: &[OsString],
    variables: Variables<'_>,
) -> Result<Matched, Refused> {
    let bare = without_variables(definition.clone());
    let typed = bare
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| wrong(definition, error, arguments))?;
    let mut added = options_of(definition, &typed, variables)?;
    if let Some((name, matches)) = typed.subcommand()
        && let Some(subcommand) = definition.find_subcommand(name)
    {
        added.extend(options_of(subcommand, matches, variables)?);
    }
    // What comes after two hyphens is no option.
    let (options, rest) = arguments
        .split_at(arguments.iter().position(|word| word == "--").unwrap_or(arguments.len()));
    let words = options.iter().chain(added.iter().flat_map(|added| &added.words)).chain(rest);
    match bare.try_get_matches_from(words) {
        Ok(all) => Ok(Matched { typed, all, added }),
        // The command line alone was right.
        Err(error) => {
            let named = [ContextKind::InvalidArg, ContextKind::PriorArg]
                .into_iter()
                .filter_map(|kind| error.get(kind));
            let named: Vec<&str> = named
                .flat_map(strings)
                .filter_map(|name| name.split(['=', ' ', '[', '.']).next())
                .collect();
            let blamed = blamed(&added, |long| named.contains(&format!("--{long}").as_str()));
            Err(match blamed {
                Some(tip) => with_tip(error, tip).into(),
                None => error.into(),
            })
        }
    }
}

impl Matched {
    /// What is wrong with these options together, with the variables that they come from, if they
    /// do.
    pub(super) fn refused(&self, cause: &str, options: &[&str]) -> Refused {
        Refused::new(cause.to_owned(), blamed(&self.added, |long| options.contains(&long)))
    }
}

/// Whether one document is asked for, as far as can be told of a command line that is wrong.
pub(super) fn wants_json(arguments: &[OsString], variables: Variables<'_>) -> bool {
    let is_typed = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    is_typed
        || variables(OsStr::new(JSON_VARIABLE)).is_some_and(|value| truth(&value) == Some(true))
}

/// As if every variable were unset.
fn without_variables(command: Command) -> Command {
    command.mut_args(|argument| argument.env(Resettable::Reset)).mut_subcommands(without_variables)
}

/// Help shows variables; what is wrong is wrong without them.
fn wrong(definition: &Command, error: clap::Error, arguments: &[OsString]) -> Refused {
    let error = match error.kind() {
        ErrorKind::DisplayHelp => {
            definition.clone().try_get_matches_from(arguments).err().unwrap_or(error)
        }
        _ => error,
    };
    waiting::explained(error, arguments).into()
}

/// The options of this command that only the environment has. A variable that is empty counts as
/// not set.
fn options_of(
    command: &Command,
    typed: &ArgMatches,
    variables: Variables<'_>,
) -> Result<Vec<Added>, Refused> {
    let mut added = Vec::new();
    for option in command.get_arguments() {
        let (Some(variable), Some(long)) = (option.get_env(), option.get_long()) else { continue };
        let Some(value) = variables(variable).filter(|value| !value.is_empty()) else { continue };
        let is_contradicted = command
            .get_arguments()
            .any(|other| is_typed(typed, other) && contradict(command, option, other));
        if is_typed(typed, option) || is_contradicted || is_ruled_out(option, &value, typed) {
            continue;
        }
        let variable = variable.to_string_lossy().into_owned();
        let words = as_typed(option, long, &value).map_err(|takes| {
            let value = value.to_string_lossy();
            Refused::new(
                format!(
                    "invalid value '{value}' for {variable}, which stands for --{long}: it takes \
                     {takes}"
                ),
                None,
            )
        })?;
        added.push(Added { long: long.to_owned(), variable, words });
    }
    Ok(added)
}

fn is_typed(typed: &ArgMatches, option: &Arg) -> bool {
    typed.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// Either of them may be the one that says so.
fn contradict(command: &Command, one: &Arg, other: &Arg) -> bool {
    let says = |one, other: &Arg| {
        command
            .get_arg_conflicts_with(one)
            .iter()
            .any(|conflict| conflict.get_id() == other.get_id())
    };
    says(one, other) || says(other, one)
}

/// Some contradict each other with certain values only: standard output is for one document or for
/// events, and where nothing is started a node comes to no more than being unpacked.
fn is_ruled_out(option: &Arg, value: &OsStr, typed: &ArgMatches) -> bool {
    let is_typed = |id| {
        typed.try_contains_id(id).is_ok()
            && typed.value_source(id) == Some(ValueSource::CommandLine)
    };
    let raw = |id| typed.try_get_raw(id).ok().flatten().and_then(|mut values| values.next());
    match option.get_id().as_str() {
        "events" => value == "-" && is_typed("json"),
        "json" => raw("events").is_some_and(|place| place == "-"),
        "wait" => value != Level::Unpacked.word() && is_typed("no_start"),
        "no_start" => raw("wait").is_some_and(|level| level != Level::Unpacked.word()),
        _ => false,
    }
}

/// The words that would be typed for it, or what it takes.
fn as_typed(option: &Arg, long: &str, value: &OsStr) -> Result<Vec<OsString>, &'static str> {
    let flag = || {
        let mut flag = OsString::from("--");
        flag.push(long);
        flag
    };
    match option.get_action() {
        ArgAction::SetTrue => match truth(value) {
            Some(true) => Ok(vec![flag()]),
            Some(false) => Ok(Vec::new()),
            None => Err("1, true, yes or on; 0, false, no or off"),
        },
        ArgAction::Count => {
            let number = value
                .to_str()
                .and_then(|number| number.parse::<u8>().ok())
                .or(truth(value).map(u8::from));
            number
                .map(|times| (0..times).map(|_| flag()).collect())
                .ok_or("a number; or true, yes or on; false, no or off")
        }
        _ => {
            let mut word = flag();
            word.push("=");
            word.push(value);
            Ok(vec![word])
        }
    }
}

/// A word for yes or no, in whatever case.
fn truth(value: &OsStr) -> Option<bool> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn strings(context: &ContextValue) -> Vec<&str> {
    match context {
        ContextValue::String(text) => vec![text],
        ContextValue::Strings(texts) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Nobody sees in the line that was typed where it comes from.
fn blamed(added: &[Added], is_at_fault: impl Fn(&str) -> bool) -> Option<String> {
    let variables: Vec<&str> = added
        .iter()
        .filter(|added| is_at_fault(&added.long))
        .map(|added| added.variable.as_str())
        .collect();
    (!variables.is_empty()).then(|| format!("the environment has {}", variables.join(" and ")))
}
