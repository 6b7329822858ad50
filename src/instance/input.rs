//! The values that members may give: names and intervals.

use crate::error::Refusal;

/// In characters.
pub const LONGEST_NAME: usize = 200;
/// In minutes: an hour.
pub const DEFAULT_INTERVAL: i32 = 60;
/// In minutes: 30 days.
pub const LONGEST_INTERVAL: i32 = 43_200;

/// The name without surrounding space.
pub fn name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    let refuse = |message: String| Err(Refusal::invalid(message, ["name"]));
    if name.is_empty() {
        return refuse("A name must not be blank.".into());
    }
    if name.chars().count() > LONGEST_NAME {
        return refuse(format!("A name has at most {LONGEST_NAME} characters."));
    }
    if name.chars().any(is_hidden) {
        return refuse("A name must not contain control characters.".into());
    }
    Ok(name.to_owned())
}

/// Invisible characters that change how the text around them is displayed.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The form in which names are compared.
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}

pub fn interval(minutes: i32) -> Result<i32, Refusal> {
    if (1..=LONGEST_INTERVAL).contains(&minutes) {
        return Ok(minutes);
    }
    Err(Refusal::invalid(format!("The interval is from 1 to {LONGEST_INTERVAL} minutes."), ["syncIntervalMinutes"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_cannot_tell_apart_or_read_are_refused() {
        for bad in ["", "   ", "a\nb", "a\u{0}b", "a\u{202e}b", "\u{200b}", &"x".repeat(201)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name("  Acme HQ ").unwrap(), "Acme HQ");
        assert_eq!(name(&"ä".repeat(200)).unwrap().chars().count(), 200);
    }
}
