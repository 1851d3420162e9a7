//! A failure: what, why, how the node stands, and the cure.

use super::paint::Paint;
use crate::command::Failure;

/// The failure for people.
pub fn text(failure: &Failure, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(report) = &failure.report {
        text.push_str(&super::preflight::text(report, paint));
        text.push('\n');
    }
    text.push_str(&format!("{} {}\n", paint.bad("error:"), failure.error));
    let mut last = failure.error.to_string();
    for cause in failure.error.chain().skip(1).map(ToString::to_string) {
        // A cause that only passes its own cause on says the same words again.
        if cause != last {
            text.push_str(&format!("  because {cause}\n"));
        }
        last = cause;
    }
    for line in &failure.log {
        text.push_str(&format!("  log:    {}\n", super::status::shortened(line)));
    }
    if let Some(state) = &failure.state {
        text.push_str(&format!("  state:  {state}\n"));
    }
    if let Some(cure) = &failure.cure {
        text.push_str(&format!("  cure:   {cure}\n"));
    }
    text
}
