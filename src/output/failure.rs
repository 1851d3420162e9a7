//! A failure: what, why, how the node stands, and the cure.

use std::io;

use super::paint::Paint;
use super::table::in_lines;
use crate::command::Failure;

/// The failure for people; `bundle` is the command that collects what support needs, where it is
/// offered.
pub fn text(failure: &Failure, bundle: Option<&str>, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(report) = &failure.report {
        text.push_str(&super::preflight::text(report, paint));
        text.push('\n');
    }
    text.push_str(&format!("{} {}", paint.bad("error:"), in_lines(&failure.error.to_string())));
    let mut last = failure.error.to_string();
    for cause in failure.error.chain().skip(1) {
        let words = cause.to_string();
        match cause.is::<io::Error>() {
            // A cause that only passes its own cause on says the same words again.
            _ if words == last => {}
            // The system's word says nothing without the object that it is about.
            true => text.push_str(&format!(": {}", in_lines(&words))),
            false => text.push_str(&format!("\n  because {}", in_lines(&words))),
        }
        last = words;
    }
    text.push('\n');
    for line in &failure.log {
        text.push_str(&format!("  log:    {}\n", super::status::shortened(line)));
    }
    if let Some(state) = &failure.state {
        text.push_str(&format!("  state:  {}\n", in_lines(state)));
    }
    text.push_str(&format!("  cure:   {}\n", in_lines(&failure.cure)));
    if let Some(command) = bundle {
        text.push_str(&help(command));
    }
    text
}

/// The offer of a bundle, after a failure or beside a result that is not what was hoped for.
pub fn help(command: &str) -> String {
    format!("  help:   {command} collects what support needs, known secrets taken out\n")
}
