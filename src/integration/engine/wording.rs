//! Reads the wording of a refusal, where its status and its code are ambiguous.

use std::sync::LazyLock;

use regex::Regex;
use reqwest::header::{DATE, HeaderMap};

use super::retry::parse_date;
use crate::manifest::expr::{Document, scalar};

/// Where applications commonly put a sentence for a person.
pub(super) const MESSAGE_POINTERS: [&str; 11] = [
    "/detail",
    "/error_description",
    "/message",
    "/error/message",
    "/errorSummary",
    "/errors/0/message",
    "/errors/0/detail",
    "/errorMessages/0",
    "/errors/0",
    "/msg",
    "/error",
];
/// Where applications commonly put the code of an error.
const CODE_POINTERS: [&str; 16] = [
    "/error",
    "/errorCode",
    "/error/code",
    "/code",
    "/error_code",
    "/error/type",
    "/error/status",
    "/errors/0/code",
    "/errors/0/type",
    "/error/errors/0/reason",
    "/error/details/0/reason",
    "/reason",
    "/type",
    "/category",
    "/sub_error",
    "/status",
];
/// A smaller difference between two clocks is usual, in milliseconds.
const USUAL_DIFFERENCE_MS: u64 = 5 * 60_000;

/// Why a grant or a client is refused, although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Too many sign-ins.
    Rate,
    /// The hour, or the address of this server.
    Restriction,
    /// The time in a signed statement.
    Clock,
}

/// Some part of a text matches one of several patterns. `None` only if a pattern is wrong.
type Words = LazyLock<Option<Regex>>;

fn words(patterns: &[&str]) -> Option<Regex> {
    Regex::new(&format!("(?i){}", patterns.join("|"))).ok()
}

fn says(words: &Words, text: &str) -> bool {
    words.as_ref().is_some_and(|words| words.is_match(text))
}

static RATE: Words = LazyLock::new(|| {
    words(&[
        r"\brate\b.{0,20}(exceed|limit)",
        "rate.?limit|too many|throttl|slow down|temporarily (locked|blocked|unavailable)",
        r"\bre-?try (it )?(later|in|after|shortly|soon)\b|\btry (it )?(later|again (later|in|after|shortly|soon))\b",
        "being processed|already in pro(cess|gress)|concurrent|simultaneous|at the same time",
    ])
});
static RESTRICTION: Words = LazyLock::new(|| {
    let refused = "reject|restrict|block|disallow|refus|forbid|denied|untrusted|unknown|unauthori[sz]ed|outside\
        |(not|n't|never) (\\w+ )?(allow|permit|authori|trust|accept|recogni)";
    words(&[
        "(login|sign-?in|business|working|office|restricted|allowed|closed) hours|time of (the )?day",
        &format!(
            r"\bips?\b.{{0,60}}({refused}|not (in|on|within)\b|\b(range|list|(allow|white|block|deny)-?list|policy|policies|filter)s?\b)"
        ),
        &format!(r"({refused}|invalid).{{0,40}}\bips?\b"),
        &format!(
            r"({refused}|\bonly\b).{{0,40}}\b(from|outside( of)?) ([\w'’]+ ){{0,3}}(networks?|location|country|region)\b"
        ),
        &format!(r"({refused}|\bonly\b).{{0,40}}\bfrom (this|your|the current) address\b"),
        &format!(r"\b(this|your|the current) (network|location|address) (is|was|has been)\b.{{0,20}}({refused})"),
        &format!(r"({refused}).{{0,40}}\bfrom \[?\d+\.\d+\.\d+\.\d+"),
        r"trusted (ip|address|network|range|location)|\b(ip|address|network) ?range",
        r"\b(allow|white)-?list(s|ed|ing)?\b|\b(address|network|the|an?|your) (allow|white) lists?\b",
        r"\bnetwork (policy|policies|zone|rule|restriction|access)|(conditional|context.?aware) access|location condition|\bvpn\b",
    ])
});
static CLOCK: Words = LazyLock::new(|| {
    words(&[
        r"\b(iat|exp|nbf)\b|\bclock|\bskew|time.?frame",
        "not yet valid|not valid before|in(to)? the future|valid time range|allowed time",
    ])
});
/// Speaks of the time in an assertion that was signed a moment ago, so that a clock must be wrong.
static STATEMENT_TIME: Words = LazyLock::new(|| {
    words(&[
        r"(assertion|jwt|statement)\b.{0,60}(expired|expiration|expiry|lifetime|too (old|early|late))",
        r"expired.{0,40}(assertion|jwt|statement)|issued[ _-]?at\b",
    ])
});
/// Asks for the same request again.
static REPEAT: Words = LazyLock::new(|| words(&[r"\bre-?try\b|\btry (\w+ ){0,3}again\b"]));
/// Says that the credential lacks a scope.
static MISSING_SCOPE: Words = LazyLock::new(|| {
    words(&[
        r"\bscopes? (do|does|did)(n't| not) match|\bscopes? mismatch",
        r"\b(missing|lacks?|lacking|insufficient|without|requires|needs|(not|n't) (have|contain|include|carry|given|granted|been (given|granted)))\b.{0,40}\bscopes?\b",
        r"\bscopes?\b.{0,40}\b(is|are|was|were) (missing|required|insufficient|not (given|granted|present|included))\b",
    ])
});
/// Says that a credential has ended, and not something else, such as a licence.
static CREDENTIAL_ENDED: Words = LazyLock::new(|| {
    let credential = "(token|key|credential|session|grant|password|secret|certificate|jwt|assertion|cookie|consent\
        |authenticat|authori[sz]ation|log-?in|sign-?in)";
    words(&[
        r"\brevoked\b|\binvalid[ _]grant\b",
        &format!("{credential}.{{0,60}}expired"),
        &format!("expired.{{0,40}}{credential}"),
    ])
});
/// What may end besides credentials.
static OTHER_TERM: Words = LazyLock::new(|| words(&["licen[sc]e|subscription|trial|evaluation|contract"]));
/// A code that says that the credential itself is bad.
static BAD_CREDENTIAL_CODE: Words = LazyLock::new(|| {
    words(&[
        "^(bad|invalid|expired|revoked|unknown|inactive)_((refresh_|access_)?token|grant|client(_id|_secret|_credentials)?|credentials?|secret|api_?key|assertion|password|login)$",
        "^((refresh_|access_)?token|grant|client(_secret)?|credentials?|api_?key|consent|authorization)_(is_)?(revoked|expired|invalid|disabled|deleted|deactivated|not_found|inactive|withdrawn)$",
    ])
});
/// A sentence that says that the credential itself is bad.
static BAD_CREDENTIAL: Words = LazyLock::new(|| {
    let credential =
        "(access|refresh|api|auth|authentication|bearer|personal access|client)[ _-]?(token|key|secret|credentials?)";
    words(&[
        &format!(
            r"\b{credential}\b.{{0,12}} (is|was|are|were|has|have)( been)? (bad|invalid|expired|revoked|disabled|deleted|deactivated|inactive|withdrawn|unknown|not (valid|found|active)|no longer (valid|active|accepted))\b"
        ),
        &format!(r"\b{credential} not (valid|found)\b"),
        &format!(r"\b(bad|invalid|expired|revoked|unknown|inactive) {credential}\b"),
    ])
});
/// A sentence that says that the credential was valid before.
static ENDED: Words = LazyLock::new(|| {
    words(&["revoked|expired|disabled|deleted|deactivated|inactive|withdrawn|no longer|invalid_grant"])
});
/// A sentence or a code that says that the position in a list has expired.
static EXPIRED_POSITION: Words = LazyLock::new(|| {
    words(&[
        r"\b((page|paging|skip|sync|continuation|next|scroll) ?(token|id|state)|cursor)\b.{0,60}(expired|too old|no longer|invalid|not valid)",
        r"\b(expired|invalid|stale) ?((page|paging|skip|sync|continuation|next|scroll) ?token|cursor)\b",
    ])
});

/// The codes in an error response, in lower case and with `_` between words.
pub(super) fn codes(body: &Document) -> impl Iterator<Item = String> {
    CODE_POINTERS.iter().filter_map(|at| scalar(body.value().pointer(at)?)).map(|code| normalised(&code))
}

fn normalised(code: &str) -> String {
    let mut words = String::new();
    let mut after_lower = false;
    for letter in code.chars() {
        if letter.is_uppercase() && after_lower {
            words.push('_');
        }
        after_lower = letter.is_lowercase() || letter.is_numeric();
        words.extend(letter.to_lowercase().map(|letter| if matches!(letter, ' ' | '-' | '.') { '_' } else { letter }));
    }
    words
}

/// The sentences in an error response.
pub(super) fn sentences(body: &Document) -> impl Iterator<Item = String> {
    MESSAGE_POINTERS.iter().filter_map(|at| scalar(body.value().pointer(at)?))
}

/// Why a grant or a client was refused, if the reason is not the credential. `signed`: whether the
/// request contained a statement that was signed for it.
pub(super) fn reason(body: &Document, signed: bool) -> Option<Reason> {
    let texts: Vec<String> = sentences(body).collect();
    let any = |words: &Words| texts.iter().any(|text| says(words, text));
    if any(&RATE) {
        Some(Reason::Rate)
    } else if texts.iter().any(|text| says_restriction(text)) {
        Some(Reason::Restriction)
    } else if any(&CLOCK) || (signed && any(&STATEMENT_TIME)) {
        Some(Reason::Clock)
    } else {
        None
    }
}

/// Whether the text says that the address, the network or the hour is the reason of a refusal, and no scope.
pub(super) fn says_restriction(text: &str) -> bool {
    let text = text.replace('_', " ");
    says(&RESTRICTION, &text) && !text.to_lowercase().contains("scope")
}

/// Whether the text says that the credential lacks a scope.
pub(super) fn says_missing_scope(text: &str) -> bool {
    says(&MISSING_SCOPE, &text.replace('_', " "))
}

/// Whether the text says that the credential has ended. `named`: the text is about a credential in any case.
pub(super) fn says_credential_ended(text: &str, named: bool) -> bool {
    let text = text.replace('_', " ");
    (says(&CREDENTIAL_ENDED, &text) || (named && text.to_lowercase().contains("expired"))) && !says(&OTHER_TERM, &text)
}

/// Whether a sentence asks for the same request again.
pub(super) fn asks_to_repeat(body: &Document) -> bool {
    sentences(body).any(|text| says(&REPEAT, &text))
}

/// The code that says that the credential itself is bad, if the response has one.
pub(super) fn bad_credential_code(body: &Document) -> Option<String> {
    codes(body).find(|code| says(&BAD_CREDENTIAL_CODE, code))
}

/// Whether a sentence says that the credential itself is bad.
pub(super) fn says_bad_credential(body: &Document) -> bool {
    sentences(body).any(|text| says(&BAD_CREDENTIAL, &text))
}

/// Whether a sentence or a code says that the credential was valid before.
pub(super) fn says_ended(body: &Document) -> bool {
    codes(body).chain(sentences(body)).any(|text| says(&ENDED, &text))
}

/// Whether the application says that it does not know the position in the list any more.
pub(super) fn says_expired_position(body: &Document) -> bool {
    codes(body).chain(sentences(body)).any(|text| says(&EXPIRED_POSITION, &text.replace('_', " ")))
}

/// A sentence about this server's clock, if it differs from the application's by more than is usual.
pub(super) fn clock_difference(headers: &HeaderMap, now: i64) -> Option<String> {
    let theirs = parse_date(headers.get(DATE)?.to_str().ok()?)?;
    let difference = theirs.abs_diff(now);
    if difference <= USUAL_DIFFERENCE_MS {
        return None;
    }
    let minutes = difference / 60_000;
    let way = if now < theirs { "behind" } else { "ahead of" };
    Some(format!("This server's clock is {minutes} minutes {way} the application's."))
}
