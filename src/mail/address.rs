//! E-mail addresses as people type them.

use std::fmt;
use std::str::FromStr;

use super::text::is_deceptive;

/// One address without a name, spelled as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// What is wrong with an address, for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("An e-mail address is needed here.")]
    Empty,
    #[error("The address is longer than 254 characters.")]
    TooLong,
    #[error("The address contains a line break or another invisible character.")]
    Invisible,
    #[error("Give the bare address, without a name or angle brackets.")]
    WithName,
    #[error("The address has no @ with a domain after it, such as ann@example.org.")]
    NoDomain,
    #[error("The part after the @ is not a domain name.")]
    BadDomain,
    #[error("The part before the @ is not that of an e-mail address.")]
    BadLocalPart,
}

impl EmailAddress {
    /// The longest address that SMTP can carry, in bytes.
    pub const LIMIT: usize = 254;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Equal for two spellings of the same mailbox: for comparison and removal of duplicates.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidAddress;

    /// Removes surrounding spaces and keeps the spelling.
    fn from_str(typed: &str) -> Result<Self, InvalidAddress> {
        let address = typed.trim_matches(' ');
        if address.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        if address.len() > Self::LIMIT {
            return Err(InvalidAddress::TooLong);
        }
        if address.chars().any(is_deceptive) {
            return Err(InvalidAddress::Invisible);
        }
        if address.ends_with('>') {
            return Err(InvalidAddress::WithName);
        }
        match address.rsplit_once('@') {
            None | Some((_, "")) => return Err(InvalidAddress::NoDomain),
            Some(("", _)) => return Err(InvalidAddress::BadLocalPart),
            Some((_, domain)) if !is_domain_name(domain) => return Err(InvalidAddress::BadDomain),
            Some(_) => {}
        }
        match address.parse::<lettre::Address>() {
            Ok(_) => Ok(Self(address.to_owned())),
            Err(lettre::address::AddressError::InvalidDomain) => Err(InvalidAddress::BadDomain),
            Err(_) => Err(InvalidAddress::BadLocalPart),
        }
    }
}

/// True for a DNS name, false for an IP address.
fn is_domain_name(domain: &str) -> bool {
    matches!(url::Host::parse(domain), Ok(url::Host::Domain(name)) if !name.ends_with('.'))
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{EmailAddress, InvalidAddress};

    #[test]
    fn usable_addresses_keep_their_spelling() {
        for address in [
            "ann@example.org",
            "Ann.O'Neill+Muster@Example.ORG",
            "a@b.co",
            "root@localhost",
            "x_y-z%w@sub.sub.example.museum",
            "\"quoted.local\"@example.org",
            "käthe@example.org",
            "ann@bücher.example",
        ] {
            let parsed: EmailAddress = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
            assert_eq!(parsed.as_str(), address);
        }
        assert_eq!(" ann@example.org ".parse::<EmailAddress>().unwrap().as_str(), "ann@example.org");
    }

    #[test]
    fn spelling_does_not_matter_for_comparing() {
        let a: EmailAddress = "Ann@Example.ORG".parse().unwrap();
        let b: EmailAddress = "ann@example.org".parse().unwrap();
        assert_ne!(a, b);
        assert_eq!(a.key(), b.key());
    }

    #[test]
    fn unusable_addresses_are_refused_with_the_reason() {
        let long = format!("{}@{}.example.org", "a".repeat(60), "b".repeat(200));
        for (address, reason) in [
            ("", InvalidAddress::Empty),
            ("   ", InvalidAddress::Empty),
            ("ann", InvalidAddress::NoDomain),
            ("ann@", InvalidAddress::NoDomain),
            ("@example.org", InvalidAddress::BadLocalPart),
            ("@", InvalidAddress::NoDomain),
            ("ann@example..org", InvalidAddress::BadDomain),
            ("ann@exa mple.org", InvalidAddress::BadDomain),
            ("ann@[127.0.0.1]", InvalidAddress::BadDomain),
            ("ann@127.0.0.1", InvalidAddress::BadDomain),
            ("ann@example.org.", InvalidAddress::BadDomain),
            ("an n@example.org", InvalidAddress::BadLocalPart),
            ("ann@bob@example.org", InvalidAddress::BadLocalPart),
            ("ann,bob@example.org", InvalidAddress::BadLocalPart),
            ("Ann <ann@example.org>", InvalidAddress::WithName),
            ("<ann@example.org>", InvalidAddress::WithName),
            ("ann@example.org\r\nBcc: x@y.org", InvalidAddress::Invisible),
            ("ann\0@example.org", InvalidAddress::Invisible),
            ("ann\u{202E}@example.org", InvalidAddress::Invisible),
            ("ann\t@example.org", InvalidAddress::Invisible),
            (long.as_str(), InvalidAddress::TooLong),
        ] {
            assert_eq!(address.parse::<EmailAddress>(), Err(reason), "{address:?}");
        }
    }
}
