//! Guesses what a mistyped name was meant to be.

/// The known name that is most similar to an unknown one, if it is similar enough.
pub fn closest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(unknown, name), name));
    let (distance, name) = distances.min()?;
    (distance <= (unknown.len() / 3).max(1)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_mistyped_name_is_recognised() {
        let known = ["listen", "log", "log_format", "smtp_url"];
        assert_eq!(closest("listn", known), Some("listen"));
        assert_eq!(closest("smpt_url", known), Some("smtp_url"));
        assert_eq!(closest("foo", known), None);
    }
}
