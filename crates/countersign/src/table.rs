//! Plain tables for people: aligned columns, no frames, nothing that a terminal would obey.

use std::fmt;

/// Rows of cells under a header.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row. Cells may hold what came from outside.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| tame(&cell)).collect());
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            lines().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in lines().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

/// The text without what a terminal would obey: control characters, and those that turn the
/// direction of writing.
pub(crate) fn tame(text: &str) -> String {
    let is_tame = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if is_tame(c) { c } else { '\u{fffd}' }).collect()
}

/// The cell for something that may not be there.
pub(crate) fn or_dash(text: Option<impl fmt::Display>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(["a".to_owned(), "1".to_owned()]);
        table.row(["much longer".to_owned(), "22".to_owned()]);
        insta::assert_snapshot!(table, @r"
        NAME         N
        a            1
        much longer  22
        ");
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_cell() {
        assert_eq!(tame("a\u{1b}[31mred\nb\u{202e}c"), "a\u{fffd}[31mred\u{fffd}b\u{fffd}c");
        assert_eq!(tame("Ünïcode 日本"), "Ünïcode 日本");
    }
}
