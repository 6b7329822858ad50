//! Keys of a user's address and name: for searches, and for finding the accounts of one person.
//!
//! A **search key** ignores upper and lower case in every language, and the different Unicode encodings of one
//! letter. It keeps accents. The **match key** of an address is stricter, because two people must never share one: it
//! changes the case of ASCII letters only.

use std::collections::BTreeSet;

use entity::user::Model;
use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Increased when the keys of a text change. Stored rows are then rewritten, see [`super::rekey`].
pub const VERSION: i32 = 2;

/// The keys of one user.
pub struct Keys {
    pub email_key: Option<String>,
    pub name_key: Option<String>,
    pub match_key: Option<String>,
}

impl Keys {
    pub fn of(email: Option<&str>, name: Option<&str>) -> Self {
        Self { email_key: email.map(search_key), name_key: name.map(search_key), match_key: email.and_then(match_key) }
    }
}

/// Fills the columns that are made from the address and the name.
pub fn fill(row: &mut Model) {
    let Keys { email_key, name_key, match_key } = Keys::of(row.email.as_deref(), row.display_name.as_deref());
    (row.email_key, row.name_key, row.match_key, row.key_version) = (email_key, name_key, match_key, VERSION);
}

/// The form of a text in which it is searched: letters of another width and ligatures as plain ones, canonically
/// composed, with full case folding, and without what nobody sees. The dotted and the dotless i are one letter, because
/// the upper case of either may be the other's.
pub fn search_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|letter| !ignorable.contains(*letter)).collect();
    folded(&DecomposingNormalizerBorrowed::new_nfkd().normalize(&visible))
}

/// The forms in which earlier versions stored keys, if they differ. Rows may have them until they are rewritten.
pub fn earlier_search_keys(text: &str) -> BTreeSet<String> {
    let second = folded(&DecomposingNormalizerBorrowed::new_nfd().normalize(text));
    let mut earlier = BTreeSet::from([text.to_lowercase(), second]);
    earlier.remove(&search_key(text));
    earlier
}

fn folded(decomposed: &str) -> String {
    let folded = CaseMapper::new().fold_string(decomposed);
    let one_i = folded.replace('\u{131}', "i").replace("i\u{307}", "i");
    ComposingNormalizerBorrowed::new_nfc().normalize(&one_i).into_owned()
}

/// The form in which an address identifies a person: the domain as it is sent over the wire, and the local part in
/// lower case if it is ASCII. `None` if it is no address.
fn match_key(address: &str) -> Option<String> {
    let (local, domain) = address.trim().rsplit_once('@').filter(|(local, _)| !local.is_empty())?;
    let url::Host::Domain(domain) = url::Host::parse(domain).ok()? else { return None };
    let local = if local.is_ascii() {
        local.to_ascii_lowercase()
    } else {
        ComposingNormalizerBorrowed::new_nfc().normalize(local).into_owned()
    };
    Some(format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_has_the_same_search_key() {
        for spellings in [
            &["ann", "ANN", "Ann"][..],
            &["İbrahim", "ibrahim", "IBRAHIM", "ıbrahim", "i\u{307}brahim"],
            &["ΟΔΥΣΣΕΥΣ", "οδυσσευς", "Οδυσσευσ"],
            &["José", "JOSÉ", "jose\u{301}", "JOSE\u{301}"],
            &["Straße", "STRASSE", "strasse", "STRAẞE"],
            &["Ǆ", "ǅ", "ǆ"],
            &["ﬁn", "FIN"],
            &["Ｋim", "ｋIM", "Kim"],
            &["Ｔａｎａｋａ", "tanaka"],
            &["Bob\u{200b} Stone\u{200e}", "bob stone", "\u{feff}bob\u{ad} stone"],
            &["Đặng", "ĐẶNG", "đa\u{323}\u{306}ng", "đa\u{306}\u{323}ng"],
        ] {
            for spelling in spellings {
                assert_eq!(search_key(spelling), search_key(spellings[0]), "{spelling}");
            }
        }
        assert_ne!(search_key("Jose"), search_key("José"), "an accent makes another letter");
    }

    #[test]
    fn the_beginning_of_a_name_is_the_beginning_of_its_key() {
        for (name, beginning) in [("ΟΔΥΣΣΕΥΣ", "ΟΔΥΣ"), ("İstanbul", "is"), ("José", "JOSÉ"), ("Straße", "stras")]
        {
            assert!(search_key(name).starts_with(&search_key(beginning)), "{name}: {beginning}");
        }
        let key = search_key("Straße İJsselmeer");
        assert_eq!(search_key(&key), key, "a key is its own key");
    }

    #[test]
    fn a_match_key_joins_only_what_is_certainly_one_address() {
        for (address, key) in [
            ("Ann.Lee@Example.COM", Some("ann.lee@example.com")),
            ("ann@bücher.example", Some("ann@xn--bcher-kva.example")),
            ("ann@BÜCHER.example", Some("ann@xn--bcher-kva.example")),
            ("JOSE\u{301}@example.com", Some("JOS\u{c9}@example.com")),
            // KELVIN SIGN is a K in NFC, and not folded.
            ("\u{212a}im@example.com", Some("Kim@example.com")),
            ("ann", None),
            ("@example.com", None),
            ("ann@", None),
            ("ann@[192.0.2.1]", None),
        ] {
            assert_eq!(match_key(address).as_deref(), key, "{address}");
        }
    }
}
