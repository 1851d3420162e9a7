//! Aligned columns, and lines of a width that terminals have.

/// What fits on any terminal.
pub const WIDTH: usize = 80;

/// A column is never narrower, whatever is beside it.
const NARROWEST: usize = 24;

/// A text and how it is painted: its width is that of the text.
pub type Cell = (String, String);

/// Puts rows into columns as wide as their widest cell, two spaces apart. The last column is not
/// padded.
pub fn aligned(rows: &[Vec<Cell>]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        for (column, ((plain, painted), width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(painted);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(width - plain.chars().count() + 2));
            }
        }
        text.push('\n');
    }
    text
}

/// The same, with the last column, which must not be painted, broken into lines so that all fits
/// into [`WIDTH`].
pub fn aligned_and_wrapped(rows: &[Vec<Cell>]) -> String {
    let before: usize = widths(rows).iter().rev().skip(1).map(|width| width + 2).sum();
    let mut lines = Vec::new();
    for row in rows {
        let Some(((last, _), first)) = row.split_last() else { continue };
        for (index, line) in wrapped(last, WIDTH.saturating_sub(before)).into_iter().enumerate() {
            let cells = first.iter().map(|cell| if index == 0 { cell.clone() } else { plain("") });
            lines.push(cells.chain([plain(line)]).collect());
        }
    }
    aligned(&lines)
}

fn widths(rows: &[Vec<Cell>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|(plain, _): &Cell| plain.chars().count())
            .max()
            .unwrap_or_default()
    };
    (0..columns).map(width).collect()
}

/// Breaks a text between words; at least one line. A word that is longer than a line stays whole,
/// so that it can be copied.
///
/// What scripts and servers said may hold anything: characters that would steer a terminal are made
/// visible.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().map(visible) {
        let line = lines.last_mut().filter(|line| {
            line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width
        });
        match line {
            Some(line) if line.is_empty() => *line = word,
            Some(line) => {
                line.push(' ');
                line.push_str(&word);
            }
            None => lines.push(word),
        }
    }
    lines
}

fn visible(word: &str) -> String {
    word.chars()
        .map(|c| if is_misleading(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Whether a terminal obeys it instead of showing it; those that turn the direction of the text
/// round make a line read as another one.
fn is_misleading(c: char) -> bool {
    let is_direction = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction
}

/// What units, servers and files said, in one line: breaks and tabs become spaces, and nothing in
/// it steers a terminal.
pub fn in_one_line(text: &str) -> String {
    visible(&text.trim_end().replace(['\n', '\r', '\t'], " "))
}

/// A text that may have several lines; nothing in it steers a terminal either.
pub fn in_lines(text: &str) -> String {
    text.lines().map(in_one_line).collect::<Vec<_>>().join("\n")
}

/// A name and a text beside it, which goes on below itself.
pub fn beside(name: &str, text: &str) -> String {
    let lines = wrapped(text, WIDTH.saturating_sub(name.chars().count()));
    let indent = " ".repeat(name.chars().count());
    let line = |(index, line): (usize, &String)| {
        format!("{}{line}\n", if index == 0 { name } else { &indent })
    };
    lines.iter().enumerate().map(line).collect()
}

/// A cell without colour, in one line.
pub fn plain(text: impl AsRef<str>) -> Cell {
    let text = in_one_line(text.as_ref());
    (text.clone(), text)
}

/// Rows of a name and a value.
pub fn pairs(rows: &[(&str, String)]) -> String {
    aligned(
        &rows
            .iter()
            .map(|(name, value)| vec![plain(format!("{name}:")), plain(value)])
            .collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cell_wraps_below_itself() {
        let text = aligned_and_wrapped(&[
            vec![plain("a"), plain("one two three ".repeat(8).trim())],
            vec![plain("long"), plain("short")],
            vec![plain("empty"), plain("")],
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(
            lines[0].starts_with("a      one")
                && lines[1].starts_with("       ")
                && lines.contains(&"long   short"),
            "{text}"
        );
    }

    #[test]
    fn table_escapes_control_characters() {
        assert_eq!(wrapped("red \u{1b}[31m\r\nbell\u{7}", 80), ["red \\u{1b}[31m bell\\u{7}"]);
        assert_eq!(in_one_line("well\u{202e}dab"), "well\\u{202e}dab");
    }

    #[test]
    fn overlong_word_is_not_broken() {
        let url = format!("http://{}", "x".repeat(90));
        assert_eq!(wrapped(&format!("see {url} there"), 80), ["see", &url, "there"]);
    }
}
