use entity::notification::NotificationKind as Kind;
use entity::run::FailureClass as Class;
use proptest::prelude::*;
use sea_orm::Iterable as _;

use super::{Counts, Facts, FailureFacts, MissingFacts, RenderedMail, compose, format_time, wrap};

const OUTCOME_AT: i64 = 1_795_356_180_000;

fn facts(kind: Kind) -> Facts<'static> {
    Facts {
        kind,
        uses_consent: false,
        secret: "token",
        integration: "Slack",
        instance: "Acme HQ",
        outcome_at_ms: OUTCOME_AT,
        since_ms: Some(OUTCOME_AT - 7_200_000),
        data_as_of_ms: Some(OUTCOME_AT - 10_800_000),
        failure: None,
        revoked: false,
        counts: Counts { seen: 1_250, added: 12, changed: 3, removed: 2 },
        user_count: 1_248,
        next_sync_ms: Some(OUTCOME_AT + 3_600_000),
        next_try_ms: None,
        link: "https://muster.example.org/#/instances/abc?x=1&y=2".into(),
        missing: None,
    }
}

fn failed(kind: Kind, class: Class, revoked: bool) -> Facts<'static> {
    let failure = FailureFacts { class, message: "Slack said token_revoked (HTTP 401).", missing_permissions: &[] };
    Facts { failure: Some(failure), revoked, next_sync_ms: (!revoked).then_some(OUTCOME_AT), ..facts(kind) }
}

fn every_mail() -> Vec<(Facts<'static>, RenderedMail)> {
    let mut all: Vec<_> = Kind::iter().map(facts).collect();
    for kind in Kind::iter() {
        for class in Class::iter() {
            for uses_consent in [false, true] {
                all.extend([false, true].map(|revoked| Facts { uses_consent, ..failed(kind, class, revoked) }));
            }
        }
    }
    all.into_iter().map(|facts| (facts.clone(), compose(&facts))).collect()
}

/// What a reader sees of the text part, without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_password_is_called_one() {
    for class in [Class::Token, Class::Permission, Class::RemovalGuard, Class::Internal] {
        for revoked in [false, true] {
            let mail = compose(&Facts { secret: "password", ..failed(Kind::SyncFailed, class, revoked) });
            let own = mail.text.replace("token_revoked", "");
            assert!(!mail.subject.contains("token") && !own.contains("token"), "{}\n{}", mail.subject, mail.text);
        }
    }
}

#[test]
fn every_kind_and_class_says_what_it_is_about() {
    for (facts, mail) in every_mail() {
        let shown = format!("{facts:?}\n{}\n{}", mail.subject, mail.text);
        let text = unwrapped(&mail.text);
        assert!(mail.text.contains(&facts.link), "{shown}");
        assert!(mail.html.contains("instances&#x2f;abc?x=1&amp;y=2\""), "{}", mail.html);
        for part in [&mail.subject, &mail.text, &mail.html] {
            assert!(!part.contains("{{") && !part.contains("{%") && !part.contains("undefined"), "{shown}");
            assert!(!part.contains("..") && !part.contains("()"), "{shown}");
        }
        assert!(mail.subject.chars().count() < 160 && !mail.subject.contains('\n'), "{shown}");
        for line in mail.text.lines() {
            assert!(line.chars().count() <= 76 || line.contains("https://"), "{line:?} in {shown}");
            assert!(line == "-- " || line == line.trim_end(), "{line:?} in {shown}");
        }
        assert!(!mail.text.contains("\n\n\n"), "{shown}");
        if facts.kind == Kind::Test {
            continue;
        }
        for wanted in
            ["Slack", "Acme HQ", "2026-11-22 14:03 UTC", "1,248", "1,250 seen, 12 added, 3 changed, 2 removed"]
        {
            assert!(text.contains(wanted) && mail.html.contains(wanted), "{wanted} in {shown}");
        }
        assert!(mail.subject.starts_with("Slack “Acme HQ”: "), "{shown}");
        let bad = !matches!(facts.kind, Kind::InitialSyncSucceeded | Kind::SyncRecovered);
        if let (true, Some(_)) = (bad, facts.failure) {
            assert!(text.contains("In detail: Slack said token_revoked (HTTP 401)."), "{shown}");
            assert!(text.contains("WHAT TO DO NOW 1. "), "{shown}");
            assert_eq!(
                text.contains("Muster does not try again until"),
                facts.revoked || facts.kind == Kind::AutoRevoked,
                "{shown}"
            );
        }
    }
}

#[test]
fn a_refusal_without_a_reason_is_tried_again_and_the_mail_says_when() {
    for kind in [Kind::InitialSyncFailed, Kind::SyncFailed, Kind::AutoRevoked] {
        let mail = compose(&Facts { next_try_ms: Some(OUTCOME_AT + 900_000), ..failed(kind, Class::Token, true) });
        let text = unwrapped(&mail.text);
        assert!(text.contains("Muster tries the token again by itself a few times within a day"), "{text}");
        assert!(text.contains("first at 2026-11-22 14:18 UTC.") && !text.contains("does not try again"), "{text}");
    }
}

#[test]
fn subjects_name_the_reason() {
    let subject = |facts: &Facts| compose(facts).subject;
    assert_eq!(
        subject(&failed(Kind::SyncFailed, Class::Token, false)),
        "Slack “Acme HQ”: sync failed — the token is not accepted"
    );
    assert_eq!(
        subject(&failed(Kind::InitialSyncFailed, Class::Permission, true)),
        "Slack “Acme HQ”: first sync failed, now Inactive — a permission is missing"
    );
    assert_eq!(
        subject(&failed(Kind::AutoRevoked, Class::Token, true)),
        "Slack “Acme HQ”: switched to Inactive — the token is not accepted"
    );
    assert_eq!(subject(&facts(Kind::InitialSyncSucceeded)), "Slack “Acme HQ”: first sync succeeded — 1,248 users");
    assert_eq!(subject(&facts(Kind::SyncRecovered)), "Slack “Acme HQ”: sync works again — 1,248 users");
    assert_eq!(subject(&facts(Kind::Test)), "Muster test mail: sending works");

    let mut reasons: Vec<_> = Class::iter().map(|class| subject(&failed(Kind::SyncFailed, class, false))).collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), Class::iter().count(), "two classes read the same: {reasons:?}");
}

#[test]
fn missing_permissions_and_lost_parts_are_named() {
    let missing = ["users:read.email".to_owned(), "team:read".to_owned()];
    let mut facts = failed(Kind::SyncFailed, Class::Permission, true);
    facts.failure = facts.failure.map(|failure| FailureFacts { missing_permissions: &missing, ..failure });
    let mail = compose(&facts);
    assert!(
        unwrapped(&mail.text).contains("give the token what is missing: users:read.email, team:read."),
        "{}",
        mail.text
    );

    let permissions = ["audit:read".to_owned()];
    let missing = MissingFacts { message: "It lacks last activity.", permissions: &permissions };
    let mail = compose(&Facts { missing: Some(missing), ..self::facts(Kind::InitialSyncSucceeded) });
    let text = unwrapped(&mail.text);
    assert!(text.contains("Not everything could be read. It lacks last activity."), "{text}");
    assert!(text.contains("give the token in Slack: audit:read.") && text.contains("Succeeded in part"), "{text}");
}

#[test]
fn a_list_of_nobody_is_said_and_not_praised() {
    for kind in [Kind::InitialSyncSucceeded, Kind::SyncRecovered] {
        let mail = compose(&Facts { counts: Counts::default(), user_count: 0, ..facts(kind) });
        let text = unwrapped(&mail.text);
        assert!(mail.subject.contains("found nobody") && text.contains("Slack listed nobody."), "{text}");
        assert!(!text.contains("are now reported") && !text.contains("up to date"), "{text}");
    }
}

#[test]
fn a_mail_without_users_or_dates_still_reads_well() {
    for kind in Kind::iter() {
        let bare = Facts {
            since_ms: None,
            data_as_of_ms: None,
            next_sync_ms: None,
            user_count: 0,
            counts: Counts::default(),
            ..failed(kind, Class::Transient, false)
        };
        let mail = compose(&bare);
        assert!(!mail.text.contains("None") && !mail.text.contains("1970"), "{}", mail.text);
    }
}

#[test]
fn names_are_values_and_never_templates_or_markup() {
    for (name, text, html) in [
        ("Eve\r\nBcc: x@y.org", "Eve Bcc: x@y.org", "Eve Bcc: x@y.org"),
        ("Eve\0\u{1b}[31m", "Eve [31m", "Eve [31m"),
        ("abc\u{202E}txt.exe\u{2066}", "abctxt.exe", "abctxt.exe"),
        ("{{7*7}}{% include 'x' %}", "{{7*7}}{% include 'x' %}", "{{7*7}}{% include &#x27;x&#x27; %}"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"),
        ("\" onmouseover=\"x", "\" onmouseover=\"x", "&quot; onmouseover=&quot;x"),
        ("=?utf-8?q?=0D=0ABcc:?=", "=?utf-8?q?=0D=0ABcc:?=", "=?utf-8?q?=0D=0ABcc:?="),
    ] {
        let failure = FailureFacts { class: Class::Config, message: name, missing_permissions: &[name.to_owned()] };
        for kind in Kind::iter().filter(|kind| *kind != Kind::Test) {
            let facts = Facts { integration: name, instance: name, failure: Some(failure), ..facts(kind) };
            let mail = compose(&facts);
            assert!(mail.subject.contains(&format!("“{text}”")), "{}", mail.subject);
            assert!(unwrapped(&mail.text).contains(text), "{}", mail.text);
            assert!(mail.html.contains(html), "{html} in {}", mail.html);
            assert!(!mail.html.contains("<script") && !mail.text.contains("49") && !mail.html.contains(">49<"));
        }
    }
}

#[test]
fn long_names_are_cut_in_the_subject() {
    let name = "x".repeat(10_000);
    let mail = compose(&Facts { instance: &name, integration: &name, ..facts(Kind::SyncRecovered) });
    assert!(mail.subject.chars().count() < 220, "{}", mail.subject);
    assert!(mail.text.len() < 4_000 && mail.html.len() < 8_000);
    assert!(mail.subject.contains(&format!("“{}…”", "x".repeat(79))), "{}", mail.subject);
}

#[test]
fn lines_break_between_words_only() {
    assert_eq!(wrap("a b".into(), 0), "a b");
    assert_eq!(wrap("x".repeat(100), 3), "x".repeat(100));
    let wrapped = wrap("word ".repeat(40), 3);
    assert!(wrapped.lines().all(|line| line.chars().count() <= 72));
    assert!(wrapped.lines().skip(1).all(|line| line.starts_with("   word")));
}

#[test]
fn times_are_written_in_utc() {
    assert_eq!(format_time(OUTCOME_AT), "2026-11-22 14:03 UTC");
    assert_eq!(format_time(i64::MAX), "an unknown time");
}

proptest! {
    /// No name, message or number makes a mail fail, or leaves a line break in a subject.
    #[test]
    fn anything_can_be_composed(name: String, message: String, numbers: [u64; 5], times: [i64; 3], pick: [usize; 2], revoked: bool) {
        let kinds: Vec<_> = Kind::iter().collect();
        let classes: Vec<_> = Class::iter().collect();
        let missing = [message.clone()];
        let [seen, added, changed, removed, user_count] = numbers;
        let mail = compose(&Facts {
            kind: kinds[pick[0] % kinds.len()],
            uses_consent: pick[1] % 2 == 0,
            secret: "token",
            integration: &name,
            instance: &name,
            outcome_at_ms: times[0],
            since_ms: Some(times[1]),
            data_as_of_ms: Some(times[2]),
            failure: Some(FailureFacts { class: classes[pick[1] % classes.len()], message: &message, missing_permissions: &missing }),
            revoked,
            counts: Counts { seen, added, changed, removed },
            user_count,
            next_sync_ms: None,
            next_try_ms: Some(times[0]),
            link: name.clone(),
            missing: Some(MissingFacts { message: &message, permissions: &missing }),
        });
        prop_assert!(!mail.subject.chars().any(char::is_control));
    }
}
