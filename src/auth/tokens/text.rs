//! The text of a token: a prefix, which secret scanners can look for, 192 random bits, and a checksum of both. By the
//! checksum, a scanner tells a token from a text that only looks like one. Tokens of earlier versions have none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secrets;

const PREFIX: &str = "muster_";
/// How many characters encode the random bits.
const RANDOM_CHARS: usize = 32;
/// How many digits the checksum has.
const CHECKSUM_DIGITS: usize = 6;
/// The digits of the checksum, as in the tokens of GitHub.
const DIGITS: [u8; 62] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new one.
pub(super) fn generate() -> String {
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secrets::random::<24>()));
    let checksum = checksum(&text);
    text + &checksum
}

/// Whether it may be a token, so that it is worth to be looked up.
pub(super) fn is_plausible(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    if !rest.is_ascii() {
        return false;
    }
    match rest.len().checked_sub(RANDOM_CHARS) {
        Some(0) => true,
        Some(CHECKSUM_DIGITS) => {
            let (before, digits) = text.split_at(text.len() - CHECKSUM_DIGITS);
            digits == checksum(before)
        }
        _ => false,
    }
}

/// The CRC-32 of a text, in base 62 with the most significant digit first.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [DIGITS[0]; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_checksum_of_everything_before_it() {
        let token = generate();
        assert_eq!(token.len(), PREFIX.len() + RANDOM_CHARS + CHECKSUM_DIGITS);
        assert!(is_plausible(&token) && generate() != token);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(!is_plausible(&String::from_utf8(bytes).unwrap()), "{at}");
        }
        // The check value of CRC-32 is 0xCBF43926.
        assert_eq!(checksum("123456789"), "3jZRME");
    }

    #[test]
    fn tokens_of_earlier_versions_have_none() {
        assert!(is_plausible(&format!("{PREFIX}{}", "a".repeat(RANDOM_CHARS))));
        for bad in ["", PREFIX, "muster_nobodys", "other_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &"muster_é".repeat(5)] {
            assert!(!is_plausible(bad), "{bad}");
        }
    }
}
