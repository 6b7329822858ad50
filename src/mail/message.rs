//! Builds a message: headers, plain text and HTML.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use super::text::{is_deceptive, one_line};
use super::{EmailAddress, Outgoing, SendError};

const SUBJECT_LIMIT: usize = 250;
/// The last second of the year 9999: the `Date` header has four digits for the year.
const LAST_DATE_MS: i64 = 253_402_300_799_000;

/// Parses the sender of all mail: an address with or without a name.
pub(super) fn sender(from: &str) -> Result<Mailbox, String> {
    let refused = || {
        format!(
            "the sender of mail, `{}`, is not an address such as `Muster <muster@example.org>`",
            one_line(from, 100)
        )
    };
    if from.chars().any(is_deceptive) {
        return Err(refused());
    }
    let mailbox: Mailbox = from.trim().parse().map_err(|_| refused())?;
    let email = wire_address(mailbox.email.as_ref()).ok_or_else(refused)?;
    Ok(Mailbox::new(mailbox.name, email))
}

/// Builds a message of two parts, plain text and HTML, with headers that stop automatic replies.
pub(super) fn build(from: &Mailbox, mail: &Outgoing) -> Result<Message, SendError> {
    let to: EmailAddress = mail.to.parse().map_err(|e: super::InvalidAddress| SendError::permanent(&e.to_string()))?;
    let to =
        wire_address(to.as_str()).ok_or_else(|| SendError::permanent("The address cannot be written in a message."))?;
    let date = UNIX_EPOCH + Duration::from_millis(mail.date_ms.clamp(0, LAST_DATE_MS).unsigned_abs());

    let mut message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .date(date)
        .message_id(Some(bracketed(&mail.message_id)?))
        .raw_header(subject(&mail.subject))
        .raw_header(fixed("Auto-Submitted", "auto-generated"))
        .raw_header(fixed("X-Auto-Response-Suppress", "All"));
    if let Some(id) = &mail.in_reply_to {
        let id = bracketed(id)?;
        message = message.in_reply_to(id.clone()).references(id);
    }
    message
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|e| SendError::permanent(&format!("The message cannot be built: {e}.")))
}

/// The address with its domain in ASCII, which every server understands.
fn wire_address(address: &str) -> Option<Address> {
    let (local, domain) = address.rsplit_once('@')?;
    if domain.is_ascii() {
        return address.parse().ok();
    }
    match url::Host::parse(domain) {
        Ok(url::Host::Domain(domain)) => Address::new(local, domain).ok(),
        _ => None,
    }
}

fn bracketed(id: &str) -> Result<String, SendError> {
    let fits = (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
    if fits { Ok(format!("<{id}>")) } else { Err(SendError::permanent("The message id is malformed.")) }
}

fn fixed(name: &'static str, value: &'static str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    let text = one_line(text, SUBJECT_LIMIT);
    // lettre does not encode ASCII words. A word that looks encoded already must be encoded, or the mail program would
    // decode it.
    if text.contains("=?") {
        let encoded = encoded_words(&text);
        HeaderValue::dangerous_new_pre_encoded(name, text, encoded)
    } else {
        HeaderValue::new(name, text)
    }
}

/// Encodes by RFC 2047: an encoded word has at most 75 characters and does not split a character.
fn encoded_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(rest.floor_char_boundary(39));
        let separator = if out.is_empty() { "" } else { "\r\n " };
        let _ = write!(out, "{separator}=?utf-8?b?{}?=", BASE64.encode(word));
        rest = tail;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{build, sender};
    use crate::mail::Outgoing;

    fn outgoing() -> Outgoing {
        Outgoing {
            to: "ann@example.org".into(),
            subject: "Hello".into(),
            text: "Text".into(),
            html: "<p>Text</p>".into(),
            message_id: "run-1@muster.example.org".into(),
            in_reply_to: None,
            date_ms: 1_700_000_000_000,
        }
    }

    fn headers(mail: &Outgoing) -> Vec<String> {
        let from = sender("Muster <muster@example.org>").unwrap();
        let bytes = build(&from, mail).unwrap().formatted();
        let text = String::from_utf8(bytes).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn the_headers_are_complete_and_each_stands_once() {
        let mail = Outgoing { in_reply_to: Some("run-0@muster.example.org".into()), ..outgoing() };
        let headers = headers(&mail);
        for expected in [
            "From: Muster <muster@example.org>",
            "To: ann@example.org",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <run-1@muster.example.org>",
            "In-Reply-To: <run-0@muster.example.org>",
            "References: <run-0@muster.example.org>",
            "Subject: Hello",
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: All",
            "MIME-Version: 1.0",
        ] {
            let found = headers.iter().any(|header| header.replace('"', "") == expected);
            assert!(found, "{expected}: {headers:?}");
        }
        let mut names: Vec<_> = headers.iter().map(|h| h.split(':').next().unwrap().to_lowercase()).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn no_subject_can_add_a_header() {
        let expected = headers(&outgoing()).len();
        for subject in [
            "Eve\r\nBcc: x@y.org".to_owned(),
            "Eve\nBcc: x@y.org".to_owned(),
            "Eve\rBcc: x@y.org".to_owned(),
            "Eve\0\u{0b}\u{0c}\u{85}\u{2028}Bcc: x@y.org".to_owned(),
            "\r\n\r\n.\r\nMAIL FROM:<>".to_owned(),
            "=?utf-8?q?=0D=0ABcc:_x@y.org?=".to_owned(),
            "ä =?utf-8?b?DQpCY2M6IHhAeS5vcmc=?= ö".to_owned(),
            "x".repeat(10_000),
            "ü".repeat(10_000),
            String::new(),
        ] {
            let headers = headers(&Outgoing { subject: subject.clone(), ..outgoing() });
            assert_eq!(headers.len(), expected, "{subject:?}: {headers:?}");
            assert!(!headers.iter().any(|h| h.to_lowercase().starts_with("bcc")));
            assert!(headers.iter().all(|h| !h.contains("=0D=0A") && !h.contains("DQpCY2M6")), "{headers:?}");
        }
    }

    #[test]
    fn malformed_ids_and_addresses_are_refused_for_good() {
        let from = sender("muster@localhost").unwrap();
        for mail in [
            Outgoing { message_id: "a\r\nb@c".into(), ..outgoing() },
            Outgoing { message_id: "a>b@c".into(), ..outgoing() },
            Outgoing { message_id: String::new(), ..outgoing() },
            Outgoing { in_reply_to: Some("a b@c".into()), ..outgoing() },
            Outgoing { to: "ann@example.org, bob@example.org".into(), ..outgoing() },
            Outgoing { to: "ann@example.org\r\nBcc: bob@example.org".into(), ..outgoing() },
        ] {
            assert!(build(&from, &mail).unwrap_err().permanent);
        }
    }

    #[test]
    fn any_date_can_be_written() {
        for date_ms in [i64::MIN, -1, 0, i64::MAX] {
            assert!(headers(&Outgoing { date_ms, ..outgoing() }).iter().any(|h| h.starts_with("Date: ")));
        }
    }

    #[test]
    fn the_sender_is_an_address_with_or_without_a_name() {
        for from in
            ["muster@localhost", "Muster <muster@localhost>", "\"IT, Muster\" <m@example.org>", "Ä <m@bücher.example>"]
        {
            assert!(sender(from).is_ok(), "{from}");
        }
        for from in ["", "Muster", "a@b.org, c@d.org", "Muster <m@example.org>\r\nBcc: x@y.org"] {
            let error = sender(from).unwrap_err();
            assert!(error.contains("sender") && !error.contains('\n'), "{error}");
        }
    }
}
