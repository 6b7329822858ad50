//! The forms of a user's address and name in which they are compared.
//!
//! The **plain form** of a text ignores case and accents in every language, and the different Unicode encodings of one
//! letter. Searches compare it. The **match key** of an address is stricter, because two people must never share one:
//! it changes the case of ASCII letters only.

use entity::user::Model;
use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{CanonicalCombiningClass, DefaultIgnorableCodePoint};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Increased when the match key or the words of a user change. Stored rows are then rewritten, see [`super::rekey`]. A
/// migration of the same version creates the index that finds them.
pub const VERSION: i32 = 3;

/// Fills the columns that are made from the address and the name.
pub fn fill(row: &mut Model) {
    (row.match_key, row.key_version) = (row.email.as_deref().and_then(match_key), VERSION);
}

/// The form of a text in which it is searched: letters of another width and ligatures as plain ones, with full case
/// folding, without accents, and without what nobody sees. The dotted and the dotless i are one letter, because the
/// upper case of either may be the other's.
pub fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|letter| !ignorable.contains(*letter)).collect();
    let decomposer = DecomposingNormalizerBorrowed::new_nfkd();
    let decomposed = decomposer.normalize(&visible);
    let folded = CaseMapper::new().fold_string(&decomposed);
    let class = CodePointMapData::<CanonicalCombiningClass>::new();
    let mut bare = String::with_capacity(folded.len());
    for letter in decomposer.normalize(&folded).chars() {
        match letter_without_accent(letter) {
            Some(letters) => bare.push_str(letters),
            None if class.get(letter) == CanonicalCombiningClass::NotReordered => bare.push(letter),
            None => {}
        }
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&bare).into_owned()
}

/// Letters whose accent is a part of them, as people type them who do not have them.
fn letter_without_accent(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

/// The form in which an address identifies a person: the domain as it is sent over the wire, and the local part in
/// lower case if it is ASCII. `None` if it is no address.
pub fn match_key(address: &str) -> Option<String> {
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
    fn every_spelling_of_a_name_has_the_same_plain_form() {
        for spellings in [
            &["ann", "ANN", "Ann"][..],
            &["İbrahim", "ibrahim", "IBRAHIM", "ıbrahim", "i\u{307}brahim"],
            &["ΟΔΥΣΣΕΥΣ", "οδυσσευς", "Οδυσσευσ", "Οδυσσεύς"],
            &["José", "JOSÉ", "jose\u{301}", "JOSE\u{301}", "jose"],
            &["Straße", "STRASSE", "strasse", "STRAẞE"],
            &["Ǆ", "ǅ", "ǆ"],
            &["ﬁn", "FIN"],
            &["Ｋim", "ｋIM", "Kim"],
            &["Ｔａｎａｋａ", "tanaka"],
            &["Bob\u{200b} Stone\u{200e}", "bob stone", "\u{feff}bob\u{ad} stone"],
            &["Đặng", "ĐẶNG", "đa\u{323}\u{306}ng", "đa\u{306}\u{323}ng", "dang"],
        ] {
            for spelling in spellings {
                assert_eq!(plain(spelling), plain(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_name_is_the_beginning_of_its_plain_form() {
        for (name, beginning) in [("ΟΔΥΣΣΕΥΣ", "ΟΔΥΣ"), ("İstanbul", "is"), ("José", "JOSÉ"), ("Straße", "stras")]
        {
            assert!(plain(name).starts_with(&plain(beginning)), "{name}: {beginning}");
        }
        let form = plain("Straße İJsselmeer");
        assert_eq!(plain(&form), form, "a plain form is its own");
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
