//! Plain tables, as the program of 2013 printed them. What comes in is fit for a terminal already.

use std::{env, io::IsTerminal};

use comfy_table::{Cell, Color, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use skypunch_actors::domain::text;

const RULE: LineStyle = LineStyle::new('+', '-', '+', '+');
const STYLE: TableStyle = TableStyle::new()
    .top_border(RULE)
    .header_lines(ContentLineStyle::new('|', '|', '|'))
    .header_separator(RULE)
    .content_lines(ContentLineStyle::new('|', '|', '|'))
    .bottom_border(RULE);

/// The longest cell of a list, in characters; the details of a row show the whole of it.
const CELL_MAX: usize = 40;

/// What the reader's screen can do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen {
    /// Whether it shows colours.
    pub colours: bool,
    /// The width to which long cells are wrapped; a pipe has none.
    pub width: Option<u16>,
}

impl Screen {
    /// What standard output is.
    pub fn of_process() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours, width: Table::new().width() }
    }
}

/// A table of rows, a line each; long cells are cut.
pub fn list(screen: Screen, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = empty(screen);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|value| cell(screen, &text::cut(value, CELL_MAX))));
    }
    format!("{table}\n")
}

/// A table of rows; nothing is cut.
pub fn whole(screen: Screen, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = empty(screen);
    wrap(&mut table, screen);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|value| cell(screen, value)));
    }
    format!("{table}\n")
}

/// A table of one thing: what it has, and how much; nothing is cut.
pub fn pairs(screen: Screen, rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = empty(screen);
    table.set_header(["Name", "Value"]);
    wrap(&mut table, screen);
    for (name, value) in rows {
        table.add_row([Cell::new(name), cell(screen, &value)]);
    }
    format!("{table}\n")
}

fn empty(screen: Screen) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    if screen.colours {
        table.enforce_styling();
    }
    table
}

fn wrap(table: &mut Table, screen: Screen) {
    // A terminal that nobody told its size says 0.
    if let Some(width @ 1..) = screen.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
}

fn cell(screen: Screen, value: &str) -> Cell {
    let cell = Cell::new(value);
    match value {
        "PASS" if screen.colours => cell.fg(Color::Green),
        "FAIL" if screen.colours => cell.fg(Color::Red),
        _ => cell,
    }
}
