//! Stand-ins for words. A word is a run of letters and digits.
//!
//! The same word has the same stand-in wherever it is: in a name, an address, an id, a cursor. So what belonged
//! together still does. A stand-in has the shape of the word: letters for letters, digits for digits, capitals for
//! capitals, and as many of them. It is made by counting, and tells nothing about the word.

use std::collections::{HashMap, HashSet};

/// Words that tell nothing about anybody: of addresses, of states and kinds of accounts, and of refusals.
const COMMON: &str = "
    http https www com net org io api rest graphql oauth oauth2 scim odata admin admins user users member members group
    groups role roles team teams guest guests owner owners viewer editor manager human person people bot bots service
    app external internal active inactive enabled disabled suspended invited pending accepted expired deactivated
    deleted archived blocked locked verified confirmed staged provisioned deprovisioned true false yes no none null
    never unknown default standard basic full free paid licence license seat trial type kind status state id ids value
    name list page pages next prev first last offset limit cursor after before total count size results rel title utc
    gmt ext html head body doctype json text error errors code message reason detail details request response status
    invalid missing insufficient required requires need needs lacks permission permissions scope scopes token tokens
    access refresh bearer grant client credential credentials key password secret session login sign in signed
    authentication authorization authenticated authorized unauthorized forbidden denied refused rejected allowed
    revoked bad wrong not found no longer valid was is has been are were have the a an or and of for to from this that
    your by with on at be rate exceeded many too requests throttled retry later again try temporarily unavailable
    server gateway timeout does do did match contain include given granted without ip address network policy allow
    issue expiry expires invalid_grant";

/// As many candidates are tried as pronounceable words, and then as any letters.
const TRIES: usize = 400;
/// Shorter words repeat by chance; a stand-in that is some other word tells nothing.
const SHORT: usize = 4;
/// Numbers up to this many digits are counts, positions, years and the like, and stay.
const PLAIN_DIGITS: usize = 6;

/// The words of a recording, and their stand-ins.
pub(super) struct Words {
    /// Words that stay, in lower case, like all words here.
    kept: HashSet<String>,
    /// The words of the recording, which no stand-in may be.
    originals: HashSet<String>,
    given: HashMap<String, String>,
    used: HashSet<String>,
    /// The state of the counter that letters are taken from.
    state: u64,
}

impl Words {
    /// `of_manifest` are kept, except what is in `of_people`.
    pub fn new(of_manifest: HashSet<String>, of_people: &HashSet<String>, originals: HashSet<String>) -> Self {
        let mut kept = of_manifest;
        kept.extend(COMMON.split_whitespace().map(str::to_owned));
        kept.retain(|word| !of_people.contains(word));
        Self { kept, originals, given: HashMap::new(), used: HashSet::new(), state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A text in which every word is replaced. `forced`: words and numbers that would stay are replaced as well.
    pub fn replace(&mut self, text: &str, forced: bool) -> String {
        let mut replaced = String::with_capacity(text.len());
        for (word, other) in pieces(text) {
            replaced.push_str(&self.word(word, forced));
            replaced.extend(other.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
        }
        replaced
    }

    /// Whether a word stays, unless it is forced.
    pub fn keeps(&self, word: &str) -> bool {
        self.kept.contains(word)
    }

    fn word(&mut self, word: &str, forced: bool) -> String {
        let lower = word.to_lowercase();
        let plain_number = lower.len() <= PLAIN_DIGITS && lower.bytes().all(|byte| byte.is_ascii_digit());
        let version = lower.strip_prefix('v').is_some_and(|rest| rest.len() <= 2 && rest.parse::<u8>().is_ok());
        if lower.is_empty() || lower == "0" || (!forced && (plain_number || version || self.kept.contains(&lower))) {
            return word.to_owned();
        }
        let stand_in = match self.given.get(&lower) {
            Some(stand_in) => stand_in.clone(),
            None => self.invent(&lower),
        };
        let mut letters = word.chars();
        let in_case = |letter: char| match letters.next() {
            Some(original) if original.is_uppercase() => letter.to_ascii_uppercase(),
            _ => letter,
        };
        stand_in.chars().map(in_case).collect()
    }

    /// A new stand-in, which nothing else has.
    fn invent(&mut self, word: &str) -> String {
        let length = word.chars().count();
        let mut tries = 0;
        let mut shape = word.to_owned();
        let stand_in = loop {
            let candidate = self.candidate(&shape, tries < TRIES);
            let meets_another = self.originals.contains(&candidate) && (length >= SHORT || tries < TRIES);
            let taken = self.used.contains(&candidate) || self.kept.contains(&candidate) || candidate == word;
            if !taken && !meets_another {
                break candidate;
            }
            tries += 1;
            // All words of this shape are taken.
            if tries > 2 * TRIES {
                tries = 0;
                shape.push('x');
            }
        };
        self.used.insert(stand_in.clone());
        self.given.insert(word.to_owned(), stand_in.clone());
        stand_in
    }

    fn candidate(&mut self, shape: &str, pronounceable: bool) -> String {
        const VOWELS: &[u8] = b"aeiou";
        const CONSONANTS: &[u8] = b"bdfgklmnprstvwz";
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        const HEXADECIMAL: &[u8] = b"abcdef";
        // Parts of hexadecimal ids stay hexadecimal.
        let hexadecimal = shape.chars().all(|letter| letter.is_ascii_hexdigit());
        let mut candidate = String::with_capacity(shape.len());
        let mut vowel = self.below(2) == 0;
        for (at, letter) in shape.chars().enumerate() {
            let digits: &[u8] = match (letter, at) {
                ('0', 0) => b"0",
                (_, 0) => b"123456789",
                _ => b"0123456789",
            };
            let from = match letter {
                _ if letter.is_ascii_digit() => digits,
                _ if hexadecimal => HEXADECIMAL,
                _ if !pronounceable => LETTERS,
                _ if vowel => VOWELS,
                _ => CONSONANTS,
            };
            candidate.push(char::from(from[self.below(from.len())]));
            vowel = !vowel;
        }
        candidate
    }

    /// The next number of a fixed sequence, below `end`.
    fn below(&mut self, end: usize) -> usize {
        // The constants of Knuth's MMIX; only the upper bits are used.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap_or_default() % end
    }
}

/// The words of a text, each with what follows it up to the next word. The first word may be empty.
pub(super) fn pieces(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let next = after.find(char::is_alphanumeric).unwrap_or(after.len());
        let (other, behind) = after.split_at(next);
        found.push((word, other));
        rest = behind;
    }
    found
}

/// The words of a text in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    pieces(text).into_iter().map(|(word, _)| word.to_lowercase()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> HashSet<String> {
        words(text).collect()
    }

    #[test]
    fn the_same_word_has_the_same_stand_in_of_the_same_shape() {
        let original = "Ann Miller, ann.miller, ANN, 00u1Ab, 5b10a2844c, 12345678, 0815, 17, v2, admin";
        let mut words = Words::new(set("projects"), &set("Ann Miller"), set(original));
        let replaced = words.replace(original, false);
        let parts: Vec<&str> = replaced.split(", ").collect();
        let (first, last) = parts[0].split_once(' ').unwrap();
        assert_eq!(parts[1], format!("{}.{}", first.to_lowercase(), last.to_lowercase()));
        assert_eq!(parts[2], first.to_uppercase());
        let shape = |text: &str| -> String {
            let one = |letter: char| match letter {
                _ if letter.is_ascii_digit() => '9',
                _ if letter.is_uppercase() => 'A',
                _ => 'a',
            };
            text.chars().map(one).collect()
        };
        assert_eq!((shape(parts[0].split(' ').next().unwrap()).as_str(), parts[3].len()), ("Aaa", 6));
        assert_eq!(shape(parts[3]), "99a9Aa");
        assert!(parts[4].chars().all(|letter| letter.is_ascii_hexdigit()), "{replaced}");
        assert_eq!((shape(parts[5]).as_str(), &parts[6..]), ("99999999", &["0815", "17", "v2", "admin"][..]));
        for word in ["ann", "miller", "00u1ab", "5b10a2844c", "12345678"] {
            assert!(!replaced.to_lowercase().contains(word), "{word}: {replaced}");
        }
        assert_eq!(words.replace("projects of Ann", false), format!("projects of {first}"));
        let forced = words.replace("admin 4711", true);
        assert!(!forced.contains("admin") && !forced.contains("4711"), "{forced}");
    }

    #[test]
    fn a_word_of_people_never_stays() {
        let mut words = Words::new(set("max users"), &set("Max Guest"), set("max guest users"));
        let replaced = words.replace("Max Guest users", false);
        assert!(!replaced.contains("Max") && !replaced.contains("Guest") && replaced.ends_with(" users"), "{replaced}");
    }

    #[test]
    fn no_two_words_share_a_stand_in_even_if_all_of_a_shape_are_needed() {
        let mut words = Words::new(HashSet::new(), &HashSet::new(), HashSet::new());
        let all: Vec<String> = ('a'..='z').flat_map(|one| ('a'..='z').map(move |two| format!("{one}{two}"))).collect();
        let found: HashSet<String> = all.iter().map(|word| words.replace(word, true)).collect();
        assert_eq!(found.len(), all.len());
    }
}
