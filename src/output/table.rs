//! Aligned columns.

/// Puts rows into columns as wide as their widest cell, two spaces apart. The last column is not padded.
///
/// A cell is a text and how it is painted: its width is that of the text.
pub fn aligned(rows: &[Vec<(String, String)>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|c| rows.iter().filter_map(|row| row.get(c)).map(|(plain, _)| plain.chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, (plain, painted)) in row.iter().enumerate() {
            text.push_str(painted);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(widths[column] - plain.chars().count() + 2));
            }
        }
        text.push('\n');
    }
    text
}

/// A cell without colour.
pub fn plain(text: impl Into<String>) -> (String, String) {
    let text = text.into();
    (text.clone(), text)
}

/// Rows of a name and a value.
pub fn pairs(rows: &[(&str, String)]) -> String {
    aligned(&rows.iter().map(|(name, value)| vec![plain(format!("{name}:")), plain(value.clone())]).collect::<Vec<_>>())
}
