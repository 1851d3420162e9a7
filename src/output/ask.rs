//! Questions to a person at a terminal.

use std::io::{IsTerminal, stderr, stdin};

use super::complaint;
use super::table::{aligned, plain};
use crate::command::uninstall::Data;
use crate::dcos::bytes::Bytes;

/// Whether somebody is there to answer.
pub fn can() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Shows what would be removed for ever and asks whether that is meant. Anything but `yes` is no.
pub fn purge(data: &[Data]) -> bool {
    let (goes, stays) = by_what_a_purge_does(data);
    let stays = if stays.is_empty() {
        String::new()
    } else {
        format!("This lies behind links and stays:\n{}", list(&stays))
    };
    complaint(&format!(
        "This data is removed for ever:\n{}{stays}Type yes to go on: ",
        list(&goes)
    ));
    let mut answer = String::new();
    stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// What a purge removes, and what it leaves because it lies behind a link.
pub fn by_what_a_purge_does(data: &[Data]) -> (Vec<&Data>, Vec<&Data>) {
    data.iter().partition(|data| data.behind_link.is_none())
}

/// Data with sizes and what it holds, one place a line.
pub fn list(data: &[&Data]) -> String {
    let row = |data: &&Data| {
        let also = data
            .effect
            .or(data.mounted.then_some("a file system of its own, which a purge empties"));
        let holds =
            also.map_or_else(|| data.holds.to_owned(), |also| format!("{}: {also}", data.holds));
        let link = data
            .behind_link
            .as_ref()
            .map_or_else(String::new, |place| format!(" (in {})", place.display()));
        vec![
            plain(format!("  {}{link}", data.path.display())),
            plain(Bytes(data.bytes).to_string()),
            plain(holds),
        ]
    };
    aligned(&data.iter().map(row).collect::<Vec<_>>())
}
