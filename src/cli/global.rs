//! The options that every command has.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::texts::GLOBAL;

/// How to print.
#[derive(Clone, Debug, Default)]
pub struct Printing {
    /// One JSON document on standard output.
    pub json: bool,
    /// A file, `fd:N` or `-` for newline-delimited JSON events.
    pub events: Option<String>,
    /// More with each one.
    pub verbose: u8,
    /// Only results and errors.
    pub quiet: bool,
    /// No colour, whatever the terminal.
    pub no_color: bool,
    /// The diagnostic log as JSON.
    pub json_log: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = GLOBAL)]
pub(super) struct Global {
    /// Print the result as one JSON document
    #[arg(long, global = true, env = "DCOS_NODE_JSON")]
    json: bool,
    /// Write events as lines of JSON to FILE, fd:N or - (stdout)
    #[arg(long, global = true, value_name = "FILE", env = "DCOS_NODE_EVENTS")]
    events: Option<String>,
    /// Tell more; twice for the diagnostic log
    #[arg(short, long, global = true, action = ArgAction::Count, env = "DCOS_NODE_VERBOSE")]
    verbose: u8,
    /// Tell only results and errors
    #[arg(short, long, global = true, env = "DCOS_NODE_QUIET", conflicts_with = "verbose")]
    quiet: bool,
    /// Form of the diagnostic log
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "text",
        env = "DCOS_NODE_LOG_FORMAT",
        hide_default_value = true
    )]
    log_format: LogFormat,
    /// No colour (also NO_COLOR)
    #[arg(long, global = true, env = "DCOS_NODE_NO_COLOR")]
    no_color: bool,
    /// Root directory of the node, for an image [default: /]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/",
        env = "DCOS_NODE_ROOT",
        hide_default_value = true
    )]
    pub(super) root: PathBuf,
    /// PEM file with certificates to trust besides the system's
    #[arg(long, global = true, value_name = "FILE", env = "DCOS_NODE_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Global {
    /// How to print; `NO_COLOR` is the word of many programs for what has an option here.
    pub(super) fn printing(&self, is_no_color_set: bool) -> Printing {
        Printing {
            json: self.json,
            events: self.events.clone(),
            verbose: self.verbose,
            quiet: self.quiet,
            no_color: self.no_color || is_no_color_set,
            json_log: matches!(self.log_format, LogFormat::Json),
        }
    }
}
