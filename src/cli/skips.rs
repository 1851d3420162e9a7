//! Checks that an operator takes responsibility for.

/// Checks with reasons: one on the command line, one a line in the environment.
#[derive(Clone, Debug)]
pub(super) struct Skips(pub(super) Vec<(String, String)>);

pub(super) fn skips(text: &str) -> Result<Skips, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(skip).collect::<Result<_, _>>().map(Skips)
}

fn skip(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((check, reason)) if !check.trim().is_empty() && !reason.trim().is_empty() => {
            Ok((check.trim().to_owned(), reason.trim().to_owned()))
        }
        _ => Err("it takes the id of a check, an equals sign and your reason, for example \
                  time.sync=\"the hypervisor keeps the clock\""
            .into()),
    }
}
