//! Tables as Markdown.

use std::fmt;

use crate::measure::{Compared, Spread};

/// A table with a heading and what has to be known to read it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    title: String,
    note: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, head: &[&str]) -> Self {
        let head = head.iter().map(ToString::to_string).collect();
        Self { title: title.to_owned(), note: note.to_owned(), head, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a row for each engine: name, then for each column median, spread and ratio to the first engine.
    pub(crate) fn compared(&mut self, names: &[&str], columns: &[Vec<Compared>]) {
        for (i, name) in names.iter().enumerate() {
            self.row(compared_cells(i, name, columns));
        }
    }

    /// As [`compared`](Self::compared), and last the hit ratio in the first column.
    pub(crate) fn compared_and_hits(&mut self, names: &[&str], columns: &[Vec<Compared>]) {
        for (i, name) in names.iter().enumerate() {
            let mut cells = compared_cells(i, name, columns);
            cells.push(columns.first().map_or_else(String::new, |c| format!("{:.1} %", c[i].tally.percent())));
            self.row(cells);
        }
    }
}

fn compared_cells(engine: usize, name: &str, columns: &[Vec<Compared>]) -> Vec<String> {
    let figures = columns.iter().map(|column| against(column[engine].nanos, column[0].nanos));
    std::iter::once(name.to_owned()).chain(figures).collect()
}

/// Writes a median with its spread and its ratio to another.
pub(crate) fn against(spread: Spread, first: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.0} ({min:.0} to {max:.0}) **{:.2}x**", median / first.median)
}

/// Writes a count with separators.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.note)?;
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_in_groups_of_three() {
        assert_eq!(
            ["7", "100", "1,000", "67,108,864"],
            [7, 100, 1_000, 67_108_864].map(thousands).each_ref().map(|s| s.as_str())
        );
    }
}
