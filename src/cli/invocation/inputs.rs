//! The paths on a command line that must exist before its command begins.

use std::path::{Path, PathBuf};

use super::{Command, Invocation};
use crate::command::inputs::{Input, Purpose};

impl Invocation {
    /// What the command reads; nothing for commands that only print what is known beforehand.
    pub fn inputs(&self) -> Vec<Input> {
        let input = |purpose, path: &Path| Input { purpose, path: path.to_owned() };
        let optional = |purpose, path: &Option<PathBuf>| -> Vec<Input> {
            path.iter().map(|path| input(purpose, path)).collect()
        };
        let of_command: Vec<Input> = match &self.command {
            Command::Explain(_) | Command::List(_) | Command::Print(_) => return Vec::new(),
            Command::Preflight { ip_detect, .. } => optional(Purpose::IpDetect, ip_detect),
            Command::Publish(request) => [
                vec![input(Purpose::ServeDirectory, &request.directory)],
                optional(Purpose::Program, &request.binary),
            ]
            .concat(),
            Command::Serve(request) => vec![input(Purpose::ServeDirectory, &request.directory)],
            Command::Install(..)
            | Command::Fetch(_)
            | Command::Uninstall(_)
            | Command::Adopt
            | Command::Status(_)
            | Command::Verify(_)
            | Command::Bundle(_)
            | Command::Recover(_) => Vec::new(),
        };
        let global =
            [vec![input(Purpose::Root, &self.root)], optional(Purpose::Authorities, &self.ca_file)];
        [global.concat(), of_command].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Arg, ArgAction};

    use super::*;
    use crate::cli::{definition, parse};
    use crate::command::inputs;
    use crate::dcos::exit::Exit;

    /// What the value of an option or argument is. `Other` has the reason why its value is not
    /// read before the command begins.
    enum Value {
        Input(Purpose),
        Other(&'static str),
    }
    use Value::{Input as Reads, Other};

    /// Every option and argument with a value: its id, and what the value is.
    const VALUES: [(&str, Value); 25] = [
        ("root", Reads(Purpose::Root)),
        ("ca_file", Reads(Purpose::Authorities)),
        ("ip_detect", Reads(Purpose::IpDetect)),
        ("binary", Reads(Purpose::Program)),
        ("directory", Reads(Purpose::ServeDirectory)),
        ("bootstrap_url", Other("a place may be gone, as a server may; checks judge it")),
        ("mirror", Other("a place that is gone is passed over, and named")),
        ("events", Other("written")),
        ("file", Other("written")),
        ("allow_file", Other("a path that the build writes on the node")),
        ("check", Other("the id of a check")),
        ("drain", Other("a duration")),
        ("limit_rate", Other("a rate")),
        ("listen", Other("an address")),
        ("log_format", Other("a word")),
        ("parallel", Other("a number")),
        ("recompress", Other("a word")),
        ("role", Other("a word")),
        ("shell", Other("a word")),
        ("skip", Other("a check and a reason")),
        ("splay", Other("a duration")),
        ("units", Other("the name of a unit")),
        ("wait", Other("a word")),
        ("wait_time_sync", Other("a duration")),
        ("wait_timeout", Other("a duration")),
    ];

    /// A command line in which this option or argument has a value that names no file.
    fn line(command: &str, argument: &Arg, path: &str) -> Invocation {
        let mut words = vec!["dcos-node".to_owned(), command.to_owned()];
        match argument.get_long() {
            Some(long) => words.push(format!("--{long}={path}")),
            None => words.push(path.to_owned()),
        }
        // What else the command demands.
        match command {
            "install" => words.push("slave".to_owned()),
            "publish" | "serve" if argument.get_long().is_some() => words.push("/".to_owned()),
            _ => {}
        }
        parse(words.iter().map(OsString::from)).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn every_option_that_names_an_input_is_read_first() {
        let mut definition = definition();
        definition.build();
        let prints_only = ["explain", "completions", "man"];
        let mut seen = std::collections::BTreeSet::new();
        for command in definition.get_subcommands() {
            for argument in command.get_arguments() {
                if !matches!(argument.get_action(), ArgAction::Set | ArgAction::Append) {
                    continue;
                }
                let id = argument.get_id().as_str();
                let value = VALUES.iter().find(|(known, _)| *known == id).map(|(_, value)| value);
                let value = value.unwrap_or_else(|| {
                    panic!("{} --{id}: say in VALUES whether it names an input", command.get_name())
                });
                seen.insert(id.to_owned());
                let Reads(purpose) = value else { continue };
                if prints_only.contains(&command.get_name()) {
                    continue;
                }
                let path = "/nonexistent/input";
                let inputs = line(command.get_name(), argument, path).inputs();
                let missing = Input { purpose: *purpose, path: path.into() };
                assert!(inputs.contains(&missing), "{} --{id}: {inputs:?}", command.get_name());
                let failure = inputs::read(&[missing]).expect_err(id);
                let error = failure.error.to_string();
                let option = argument.get_long().map(|long| format!("--{long}"));
                let option = option.unwrap_or_else(|| format!("<{}>", id.to_uppercase()));
                assert_eq!(
                    (failure.exit, failure.state.as_deref(), error),
                    (
                        Exit::Usage,
                        Some("nothing was changed"),
                        format!(
                            "cannot read {path} ({option}): No such file or directory (os error 2)"
                        )
                    )
                );
                let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
                assert!(
                    variable.is_none_or(|variable| failure.cure.contains(&variable)),
                    "{id}: {}",
                    failure.cure
                );
            }
        }
        let unused = |(id, value): &(&str, Value)| match value {
            Other(reason) if seen.contains(*id) => reason.is_empty(),
            _ => !seen.contains(*id),
        };
        assert!(!VALUES.iter().any(unused), "VALUES has an option that does not exist");
    }
}
