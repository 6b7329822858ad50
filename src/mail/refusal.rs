//! What a mail server's refusal means: whether the address is at fault, and what an administrator can do.
//!
//! Only a refusal of the address itself is final. Everything else is a setting, here or on the mail server, that
//! somebody will correct: the mail is kept and tried again. Servers do not agree on codes, so the text is read where
//! the enhanced code (RFC 3463) says too little.

/// Refusals that our own settings cause most often, recognised by these words, and the remedy. The first match is
/// used.
const ADVICE: [(&[&str], &str); 7] = [
    (
        &["unknownissuer", "unknown issuer", "unknown authority", "self-signed", "self signed"],
        "If the company has certificate authorities of its own, name them by MUSTER_CA_FILE.",
    ),
    (&["helo", "ehlo"], "Set MUSTER_SMTP_HELO_NAME to this server's full host name."),
    (
        &["relay", "rcpthosts", "#5.7.1", "5.7.54"],
        "The mail server does not relay for this server: permit that there, or set a user and a password in MUSTER_SMTP_URL.",
    ),
    (&["starttls", "encrypt"], "Add ?tls=required to MUSTER_SMTP_URL."),
    (&["authenticat", "credential", "login", "sign in"], "Correct the user and the password in MUSTER_SMTP_URL."),
    (
        &["sender", "send as", "not verified", "from address"],
        "Set MUSTER_MAIL_FROM to a sender that the mail server accepts.",
    ),
    (
        &["spf", "dmarc", "dkim", "block", "blacklist", "listed", "spam", "reputation", "ptr", "reverse", "banned"],
        "The mail server does not trust this server's address: have it permitted there, or use another mail server.",
    ),
];

/// Words that show that a refusal is about something other than the address, even if it also names an address.
const NOT_THE_ADDRESS: [&str; 14] = [
    "policy",
    "denied by",
    "permission",
    "not allowed",
    "not permitted",
    "quota",
    "full",
    "rate",
    "limit",
    "too many",
    "too much",
    "later",
    "greylist",
    "temporar",
];

/// Words that show that a refusal is about the address.
const THE_ADDRESS: [&str; 9] =
    ["mailbox", "user", "recipient", "account", "addressee", "no such", "unrouteable", "unroutable", "does not exist"];

/// True if the mail server refuses the address, and would refuse it again. `code` is the status, and `text` what
/// the server said after it.
pub(super) fn refuses_address(code: u16, text: &str) -> bool {
    // Postfix calls its list of recipients the “relay recipient table”, and the word “relay” would point to another
    // reason.
    let text = text.to_lowercase().replace("relay recipient table", "recipient table");
    let about_address = || {
        matches!(code, 550 | 551 | 553)
            && advice(&text).is_none()
            && !NOT_THE_ADDRESS.iter().any(|words| text.contains(words))
            && THE_ADDRESS.iter().any(|words| text.contains(words))
    };
    match (code, enhanced(&text)) {
        (500..600, Some((5, 1, detail))) => match detail {
            // The other address status: also of senders. 7 and 8 are about senders only, and 9 is about their mail's
            // form. Exchange uses 90 for a limit of recipients.
            0 => !text.contains("sender"),
            7..=9 | 90 => false,
            _ => true,
        },
        (500..600, Some((5, 7, _))) => false,
        _ => about_address(),
    }
}

/// What an administrator can do about a refusal or a failure, if it says enough.
pub(super) fn advice(words: &str) -> Option<&'static str> {
    let words = words.to_lowercase();
    ADVICE.iter().find(|(signs, _)| signs.iter().any(|sign| words.contains(sign))).map(|(_, advice)| *advice)
}

/// The enhanced status code: at the beginning, or in parentheses as qmail writes it.
fn enhanced(text: &str) -> Option<(u8, u16, u16)> {
    let code = text.split_whitespace().next()?;
    let code = if code.contains('.') { code } else { text.rsplit_once("(#")?.1.split_once(')')?.0 };
    let code = code.trim_start_matches('#');
    let mut parts = code.split('.');
    let found = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::{advice, refuses_address};

    #[test]
    fn only_a_refusal_of_the_address_is_final() {
        for (code, text) in [
            (550, "5.1.1 <ann@example.org>: Recipient address rejected: User unknown in virtual mailbox table"),
            (550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking it"),
            (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ann@example.org not found by SMTP address lookup"),
            (550, "5.4.1 Recipient address rejected: Access denied. AS(201806281) [x.prod.protection.outlook.com]"),
            (550, "5.2.1 The email account that you tried to reach is disabled. Learn more"),
            (550, "5.1.0 <ann@example.org>: no such address here"),
            (553, "5.1.3 <ann@@example.org>... User address required"),
            (553, "5.1.2 We weren't able to find the recipient domain. Please check for any spelling errors"),
            (550, "No Such User Here"),
            (550, "Unrouteable address"),
            (550, "Requested action not taken: mailbox unavailable"),
            (551, "User has moved; please try <ann@example.com>"),
            (
                556,
                "5.1.10 <ann@example.org>: Recipient address rejected: Domain example.org does not accept mail (nullMX)",
            ),
            (550, "sorry, no mailbox here by that name. (#5.1.1)"),
            (550, "#5.1.0 Address rejected."),
            (551, "User not local; please try <ann@example.com>"),
            (550, "<ann@example.org>: Recipient address rejected: User unknown in relay recipient table"),
        ] {
            assert!(refuses_address(code, text), "{code} {text}");
        }
    }

    #[test]
    fn refusals_that_a_setting_would_change_are_not_final_and_name_it() {
        for (code, text, named) in [
            (504, "5.5.2 <web-7f9c>: Helo command rejected: need fully-qualified hostname", "MUSTER_SMTP_HELO_NAME"),
            (550, "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", "MUSTER_SMTP_HELO_NAME"),
            (554, "5.7.1 <ann@example.org>: Relay access denied", "relay"),
            (550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "relay"),
            (550, "5.7.1 Unable to relay", "relay"),
            (550, "relay not permitted", "relay"),
            (550, "5.7.1 <ann@example.org>... Relaying denied. Proper authentication required.", "relay"),
            (550, "5.7.0 Mail relay denied [192.0.2.1]. Invalid credentials for relay", "relay"),
            (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "relay"),
            (530, "5.7.0 Must issue a STARTTLS command first", "tls=required"),
            (530, "5.7.0 Authentication Required. Learn more", "user and the password"),
            (530, "5.7.57 Client not authenticated to send mail", "user and the password"),
            (535, "Authentication Credentials Invalid", "user and the password"),
            (
                550,
                "5.1.0 <muster@localhost>: Sender address rejected: User unknown in local recipient table",
                "MAIL_FROM",
            ),
            (550, "5.1.8 Access denied, bad outbound sender AS(0)", "MAIL_FROM"),
            (550, "5.7.60 SMTP; Client does not have permissions to send as this sender", "MAIL_FROM"),
            (550, "Sender verify failed", "MAIL_FROM"),
            (554, "Message rejected: Email address is not verified. The following identities failed", "MAIL_FROM"),
            (550, "5.7.26 This mail has been blocked because the SPF and DKIM checks did not pass", "trust"),
            (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "trust"),
        ] {
            assert!(!refuses_address(code, text), "{code} {text}");
            let advice = advice(text).unwrap_or_else(|| panic!("{text}"));
            assert!(advice.contains(named), "{text}: {advice}");
        }
    }

    #[test]
    fn what_may_pass_by_itself_is_not_final_either() {
        for (code, text) in [
            (450, "4.2.1 The user you are trying to contact is receiving mail too quickly"),
            (450, "4.2.0 <ann@example.org>: Recipient address rejected: Greylisted"),
            (454, "Throttling failure: Maximum sending rate exceeded."),
            (550, "5.4.5 Daily user sending limit exceeded."),
            (550, "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"),
            (552, "5.2.2 The email account that you tried to reach is over quota"),
            (550, "5.2.2 Mailbox full"),
            (550, "5.7.1 <ann@example.org>: Recipient address rejected: Access denied"),
            (554, "5.7.1 Message refused"),
            (550, "administrative prohibition"),
            (500, "5.5.1 Command unrecognized"),
            (421, "4.7.0 Try again later, closing connection."),
        ] {
            assert!(!refuses_address(code, text), "{code} {text}");
        }
    }
}
