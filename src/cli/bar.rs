//! The newest slots of a target in a line, a letter each.

use std::fmt::Write;

use crossterm::style::Stylize;
use serde_json::Value;

use super::table::Screen;

/// The width where nobody says one.
const WIDTH: u16 = 80;

/// What the letters mean.
pub const LEGEND: &str = ". passed  F failed  ? nobody looked";

/// As many of the newest slots as fit, the newest at the right.
pub fn draw(screen: Screen, slots: &[Value]) -> String {
    let width = screen.width.filter(|width| *width > 0).unwrap_or(WIDTH);
    let newest = &slots[slots.len().saturating_sub(width.into())..];
    let mut bar = String::new();
    for slot in newest {
        let (letter, coloured) = match slot["status"].as_str() {
            Some("PASS") => ('.', '.'.green()),
            Some("FAIL") => ('F', 'F'.red()),
            _ => ('?', '?'.dark_grey()),
        };
        let written = if screen.colours { write!(bar, "{coloured}") } else { write!(bar, "{letter}") };
        written.expect("a String takes all");
    }
    bar
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slots(statuses: &[&str]) -> Vec<Value> {
        statuses.iter().map(|status| json!({ "status": status })).collect()
    }

    #[test]
    fn a_bar_has_a_letter_a_slot() {
        let slots = slots(&["PASS", "FAIL", "UNKNOWN", "PASS"]);
        assert_eq!(draw(Screen::default(), &slots), ".F?.");
        assert_eq!(draw(Screen::default(), &[]), "");
    }

    #[test]
    fn a_bar_fits_the_width_and_ends_with_the_newest() {
        let many = [vec!["PASS"; 200], vec!["FAIL"]].concat();
        let bar = |width| draw(Screen { colours: false, width }, &slots(&many));
        assert_eq!(bar(Some(5)), "....F");
        assert_eq!((bar(None).len(), bar(Some(0)).len()), (80, 80));
    }

    #[test]
    fn colours_are_for_terminals() {
        let slots = slots(&["PASS", "FAIL"]);
        let bar = draw(Screen { colours: true, width: None }, &slots);
        assert!(bar.contains("\u{1b}[") && bar.contains('F'), "{}", bar.escape_debug());
        assert!(!draw(Screen::default(), &slots).contains('\u{1b}'));
    }
}
