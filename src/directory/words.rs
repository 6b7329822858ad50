//! The words by which users are found, and what a search asks for.
//!
//! A user has the words of the name, those of the address before the `@`, and the domain of the address as one word.
//! Words are separated by what is neither letter nor digit. Case and accents do not count.
//!
//! A search finds a user if each of its terms is the beginning of a word. A term such as `ada.berg` or `example.com`
//! may also be several words, each of which is the beginning of a word of the user, or the beginning of a domain.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use super::keys::plain;

/// How many words of a user, and how many terms of a search, count at most.
const MOST: usize = 16;
/// How many bytes of a word count at most.
const LONGEST: usize = 64;
/// Separates the words of a user. No word contains it.
const BETWEEN: char = ' ';

/// The words of a user, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    pub fn of(email: Option<&str>, name: Option<&str>) -> Self {
        let (local, domain) = email.map_or(("", ""), |email| email.rsplit_once('@').unwrap_or((email, "")));
        let mut words: Vec<String> = domains(&plain(domain)).map(cut).collect();
        for text in [name.unwrap_or_default(), local] {
            for word in split(&plain(text)).map(cut) {
                if words.len() < MOST && !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words.truncate(MOST);
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The words as a stored text.
    pub fn joined(&self) -> String {
        self.0.join(&BETWEEN.to_string())
    }

    /// Each word, with the number of bytes that it has in common with those before it.
    pub fn shared(&self) -> impl Iterator<Item = (&str, usize)> {
        let before = std::iter::once("").chain(self.0.iter().map(String::as_str));
        self.0.iter().zip(before).map(|(word, before)| {
            let same = word.bytes().zip(before.bytes()).take_while(|(a, b)| a == b);
            (word.as_str(), same.count())
        })
    }

    /// The words that others do not have.
    pub fn without<'a>(&'a self, others: &'a Words) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|word| !others.0.contains(word)).map(String::as_str)
    }
}

/// What a search asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms(Vec<Term>);

/// A part of a search that must be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// As it is written.
    pub whole: String,
    /// Its words. A term of one word is that word.
    pub words: Vec<String>,
}

impl Term {
    fn new(text: &str) -> Self {
        Self { whole: cut(text), words: split(text).map(cut).collect() }
    }

    /// Whether it may be several words.
    pub fn is_compound(&self) -> bool {
        self.words.len() > 1
    }
}

impl Terms {
    /// What somebody has typed. A text without a letter or a digit asks for nothing, and so finds everybody.
    pub fn of(text: &str) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        for term in domains(&plain(text)).map(Term::new) {
            if terms.len() < MOST && !terms.contains(&term) {
                terms.push(term);
            }
        }
        Self(terms)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Term> {
        self.0.iter()
    }
}

fn is_in_word(letter: char) -> bool {
    letter.is_alphanumeric()
        || (!letter.is_ascii()
            && matches!(
                CodePointMapData::<GeneralCategory>::new().get(letter),
                GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark
            ))
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter| !is_in_word(letter)).filter(|word| !word.is_empty())
}

/// The parts of a text that may be a domain.
fn domains(text: &str) -> impl Iterator<Item = &str> {
    let inner = |letter| matches!(letter, '.' | '-' | '_');
    let parts = text.split(move |letter| !is_in_word(letter) && !inner(letter));
    parts.map(move |part| part.trim_matches(inner)).filter(|part| !part.is_empty())
}

fn cut(word: &str) -> String {
    word[..word.floor_char_boundary(LONGEST)].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begins(words: &Words, beginning: &str) -> bool {
        words.0.iter().any(|word| word.starts_with(beginning))
    }

    fn finds(search: &str, email: &str, name: &str) -> bool {
        let words = Words::of(Some(email), Some(name));
        let all = |term: &Term| term.is_compound() && term.words.iter().all(|word| begins(&words, word));
        Terms::of(search).iter().all(|term| begins(&words, &term.whole) || all(term))
    }

    #[test]
    fn a_search_finds_the_beginning_of_any_word() {
        let (email, name) = ("ada.l.byron@example.com", "Ada  King-Noël, Countess of Lovelace (R&D)");
        for search in [
            "ada",
            "ADA",
            "king",
            "noel",
            "NOËL",
            "noe\u{308}l",
            "lovelace ada",
            "a k n",
            "byron",
            "ada.l",
            "ada.byron",
            "King-Noel",
            "example.com",
            "exam",
            "ada@example.com",
            "byron@exam",
            "ada.l.byron@example.com",
            "countess of",
            "r&d",
            "",
            " ",
            "%",
            "\u{200b}",
            "._-",
            "\u{200b}ada\u{ad}",
        ] {
            assert!(finds(search, email, name), "{search:?}");
        }
        for search in ["com", "lace", "oel", "example.org", "ada@com", "ada lovelace x", "da", "xample.com", "king.x"] {
            assert!(!finds(search, email, name), "{search:?}");
        }
    }

    #[test]
    fn other_scripts_and_letters_are_found_by_what_people_type() {
        for (search, name) in [
            ("sorensen", "Sørensen"),
            ("Łukasz", "lukasz"),
            ("lukasz", "Łukasz"),
            ("strasse", "Straße"),
            ("οδυσσευς", "ΟΔΥΣΣΕΎΣ"),
            ("ibrahim", "İBRAHİM"),
            ("дуб", "Иван Дубов"),
            ("김", "김 철수"),
            ("राम", "रामायण"),
            ("nguyen", "Nguyễn"),
            ("7", "No. 7"),
        ] {
            assert!(finds(search, "x@example.com", name), "{search} in {name}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let many: Vec<String> = (0..100).map(|number| format!("w{number}")).collect();
        let words = Words::of(Some("a@example.com"), Some(&many.join(" ")));
        assert!(words.0.len() == MOST && words.0.contains(&"example.com".into()));
        let long = "ö".repeat(1000);
        assert_eq!(Words::of(None, Some(&long)).joined().len(), LONGEST);
        assert!(finds(&long, "", &long));
    }

    proptest! {
        #[test]
        fn each_beginning_leads_to_a_user_by_one_word(name in "[ab]{0,4} [ab]{0,4} [ab]{0,4}", beginning in "[ab]{1,3}") {
            let words = Words::of(None, Some(&name));
            let led = words.shared().filter(|(word, shared)| word.starts_with(&beginning) && *shared < beginning.len());
            prop_assert_eq!(led.count(), usize::from(begins(&words, &beginning)));
        }

        #[test]
        fn a_text_finds_itself(text in "\\PC{1,20}") {
            prop_assert!(finds(&text, "", &text), "{:?}", Words::of(None, Some(&text)));
            prop_assert_eq!(plain(&plain(&text)), plain(&text));
        }
    }
}
