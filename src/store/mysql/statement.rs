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

    /// The statements that take all rows: for each the derived table and its parameters.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (String, Vec<Value>)> {
        self.values.chunks(ROWS * self.columns.len()).map(|values| {
            let rows = (values.len() / self.columns.len()).next_power_of_two();
            let mut values = values.to_vec();
            values.resize(rows * self.columns.len(), Value::NULL);
            (self.derived_table(rows), values)
        })
    }

    fn derived_table(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(rows * self.columns.len() * 24);
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
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u64) -> Vec<(String, Vec<Value>)> {
        let mut rows = Rows::new(&[("id", "SIGNED"), ("n", "SIGNED")]);
        (0..count).for_each(|id| rows.push([id.into(), 1.into()]));
        rows.chunks().collect()
    }

    #[test]
    fn rows_are_filled_up_to_a_power_of_two() {
        let (sql, values) = rows(3).remove(0);
        assert!(sql.starts_with("(SELECT CAST(? AS SIGNED) AS id, CAST(? AS SIGNED) AS n UNION ALL SELECT "));
        assert_eq!(sql.matches("SELECT").count(), 4);
        assert_eq!(values.len(), 8);
        assert_eq!(values[6..], [Value::NULL, Value::NULL]);
    }

    #[test]
    fn many_rows_are_several_statements() {
        let lengths: Vec<_> = rows(150).iter().map(|(_, values)| values.len() / 2).collect();
        assert_eq!(lengths, [64, 64, 32]);
        assert!(rows(0).is_empty());
    }
}
