//! Statements over many rows at once.

use std::fmt::Write;

use mysql_async::Value;

/// The most rows of one statement; a power of two.
///
/// More would save round trips, and cost memory: the driver keeps up to 128 buffers, each as large as the
/// largest packet that it ever carried. With 512 rows that was 20 MiB after a quarter of an hour.
pub(super) const ROWS: usize = 64;

/// Rows for a statement `… (SELECT … UNION ALL SELECT …) v …`.
///
/// The columns are typed in every row, since servers differ in what they take an untyped parameter
/// for. The rows are filled up with NULLs, which match no id, to a power of two: there are only
/// so many statements to prepare then.
#[derive(Debug)]
pub(super) struct Rows {
    /// A name and a type for `CAST` a column; the first is an id.
    columns: &'static [(&'static str, &'static str)],
    values: Vec<Value>,
}

impl Rows {
    pub(super) fn new(columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { columns, values: Vec::new() }
    }

    pub(super) fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.values.extend(row);
    }

    /// The rows, so many at a time that one statement takes them.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        let chunk = |values| Chunk { columns: self.columns, values };
        self.values.chunks(ROWS * self.columns.len()).map(chunk)
    }
}

/// The rows of one statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    columns: &'static [(&'static str, &'static str)],
    values: &'a [Value],
}

impl<'a> Chunk<'a> {
    /// Each row on its own.
    pub(super) fn rows(self) -> impl Iterator<Item = Chunk<'a>> {
        self.values.chunks(self.columns.len()).map(move |values| Chunk { values, ..self })
    }

    /// The id of the first row.
    pub(super) fn id(self) -> String {
        match self.values.first() {
            Some(Value::Int(id)) => id.to_string(),
            Some(Value::Bytes(id)) => String::from_utf8_lossy(id).into_owned(),
            _ => unreachable!("an id is a number or a text"),
        }
    }

    /// The derived table and its parameters.
    pub(super) fn derived_table(self) -> (String, Vec<Value>) {
        let rows = (self.values.len() / self.columns.len()).next_power_of_two();
        let mut values = self.values.to_vec();
        values.resize(rows * self.columns.len(), Value::NULL);
        let mut sql = String::with_capacity(values.len() * 24);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(SELECT " } else { " UNION ALL SELECT " });
            for (column, (name, kind)) in self.columns.iter().enumerate() {
                let comma = if column == 0 { "" } else { ", " };
                // Only the first SELECT names the columns. Writing into a String cannot fail.
                match row {
                    0 => write!(sql, "{comma}CAST(? AS {kind}) AS {name}"),
                    _ => write!(sql, "{comma}CAST(? AS {kind})"),
                }
                .expect("a String takes all");
            }
        }
        sql.push_str(") v");
        (sql, values)
    }
}

/// The most rows of an `INSERT … VALUES` of the history, which are long.
const LONG_ROWS: usize = 16;

/// Splits rows for statements `INSERT … VALUES`: by powers of two, as there are only so many to prepare then.
pub(super) fn split<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let most = 1 << rows.len().checked_ilog2()?;
        let (first, rest) = rows.split_at(most.min(LONG_ROWS));
        rows = rest;
        Some(first)
    })
}

/// The lists of `INSERT … VALUES`: `(?,?),(?,?)`.
pub(super) fn lists(rows: usize, columns: usize) -> String {
    let list = format!("({})", vec!["?"; columns].join(","));
    vec![list; rows].join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u64) -> Rows {
        let mut rows = Rows::new(&[("id", "SIGNED"), ("n", "SIGNED")]);
        (1..=count).for_each(|id| rows.push([i64::try_from(id).unwrap().into(), 1.into()]));
        rows
    }

    #[test]
    fn rows_are_filled_up_to_a_power_of_two() {
        let rows = rows(3);
        let chunk = rows.chunks().next().unwrap();
        let (sql, values) = chunk.derived_table();
        assert!(sql.starts_with("(SELECT CAST(? AS SIGNED) AS id, CAST(? AS SIGNED) AS n UNION ALL SELECT "));
        assert_eq!(sql.matches("SELECT").count(), 4);
        assert_eq!(values.len(), 8);
        assert_eq!(values[6..], [Value::NULL, Value::NULL]);
        let each: Vec<_> = chunk.rows().map(|row| (row.id(), row.derived_table().1.len())).collect();
        assert_eq!(each, [("1".to_owned(), 2), ("2".to_owned(), 2), ("3".to_owned(), 2)]);
    }

    #[test]
    fn many_rows_are_several_statements() {
        let lengths = |count| -> Vec<usize> {
            rows(count).chunks().map(|chunk| chunk.derived_table().1.len() / 2).collect()
        };
        assert_eq!(lengths(150), [64, 64, 32]);
        assert!(lengths(0).is_empty());
    }

    #[test]
    fn long_rows_are_split_by_powers_of_two() {
        let lengths = |count: usize| split(&vec![(); count]).map(<[()]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(43), [16, 16, 8, 2, 1]);
        assert!(lengths(0).is_empty());
        assert_eq!(lists(2, 3), "(?,?,?),(?,?,?)");
    }
}
