//! What follows from an attempt. Pure.

use std::time::Duration;

use chrono::DateTime;
use entity::webhook::{DisabledReason, Model as Webhook};
use entity::webhook_delivery::Model as Delivery;

use super::reply::{Meaning, Verdict};
use crate::backoff::Backoff;
use crate::clock::DAY_MS;

/// How long the receiver may take.
pub const TRY: Duration = Duration::from_secs(15);
/// The pause after an attempt that failed, of the delivery and of the webhook.
const WAITS: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_hours(4), jitter: 0.2 };
/// After how long without success a webhook is switched off, or a delivery is given up.
pub const PATIENCE_MS: i64 = 3 * DAY_MS;
/// How often a delivery is tried at least before it is given up.
const LEAST_TRIES: i32 = 6;
/// The longest `Retry-After` that is kept, and so the longest wait. What waits for longer has met a wrong clock.
pub const LONGEST_ASKED_MS: i64 = DAY_MS;

const GONE: u16 = 410;
const TOO_MANY_REQUESTS: u16 = 429;
const UNAVAILABLE: u16 = 503;

/// What the receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a status; the beginning of its body; how long it asks to wait, in milliseconds; what a service means by it.
    Status { status: u16, text: String, retry_after: Option<i64>, meaning: Option<Meaning> },
    /// Nothing, and why.
    None(String),
}

impl Answer {
    fn is_accepted(&self) -> bool {
        matches!(self, Answer::Status { status: 200..300, .. })
    }

    /// What went wrong, in a sentence.
    pub fn error(&self) -> Option<String> {
        match self {
            Answer::Status { status: 200..300, .. } => None,
            Answer::Status { status, meaning: Some((_, sentence)), .. } => {
                Some(format!("{sentence} (Status {status}.)"))
            }
            Answer::Status { status: 300..400, .. } => Some(
                "The receiver answered with a redirect, which is not followed. Enter the address that it leads to."
                    .into(),
            ),
            Answer::Status { status, .. } => Some(format!("The receiver answered with status {status}.")),
            Answer::None(reason) => Some(reason.clone()),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Answer::Status { meaning: Some((verdict, _)), .. } => *verdict,
            Answer::Status { status: GONE, .. } => Verdict::Gone,
            Answer::Status { .. } | Answer::None(_) => Verdict::Again,
        }
    }

    fn asked_wait(&self) -> i64 {
        match self {
            Answer::Status { status: TOO_MANY_REQUESTS | UNAVAILABLE, retry_after: Some(wait), .. } => {
                (*wait).clamp(0, LONGEST_ASKED_MS)
            }
            _ => 0,
        }
    }
}

/// What becomes of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    Failed,
    /// It is tried again, not before this time.
    Retried(i64),
}

/// What becomes of the webhook. `None` for a test that failed: it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub failing_since: Option<i64>,
    pub failures: i32,
    pub retry_at: Option<i64>,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub fate: Fate,
    pub pulse: Option<Pulse>,
    pub disable: Option<DisabledReason>,
}

/// When an attempt was made and ended, and its dice.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub begun: i64,
    pub now: i64,
    /// The same by a clock that does not jump.
    pub steady: i64,
    /// From 0 to 1.
    pub roll: f64,
}

/// `webhook` is as it is when the attempt is recorded: other attempts of the same round may have been recorded before.
pub fn outcome(answer: &Answer, delivery: &Delivery, webhook: &Webhook, at: Moment) -> Outcome {
    if answer.is_accepted() {
        let pulse = Some(Pulse { failing_since: None, failures: 0, retry_at: None });
        return Outcome { fate: Fate::Delivered, pulse, disable: None };
    }
    // Somebody waits for the result of a test, so it is not tried again.
    if delivery.position.is_none() {
        return Outcome { fate: Fate::Failed, pulse: None, disable: None };
    }
    let verdict = answer.verdict();
    // The receiver works: it takes other messages.
    if verdict == Verdict::Refused {
        let Webhook { failing_since, failures, retry_at, .. } = *webhook;
        return Outcome { fate: Fate::Failed, pulse: Some(Pulse { failing_since, failures, retry_at }), disable: None };
    }
    let failing_since = webhook.failing_since.unwrap_or(at.now);
    // Attempts that were made together count as one.
    let is_first = !waits(webhook.retry_at, at.begun);
    let failures = webhook.failures.saturating_add(i32::from(is_first));
    let asked = answer.asked_wait();
    let retry_at = at.now + wait(failures, at.roll).max(asked);
    let pulse = Pulse {
        failing_since: Some(failing_since),
        failures,
        retry_at: Some(webhook.retry_at.filter(|_| !is_first).map_or(retry_at, |before| before.max(at.now + asked))),
    };
    let disable = match verdict {
        Verdict::Gone => Some(DisabledReason::Gone),
        _ if at.steady - failing_since >= PATIENCE_MS => Some(DisabledReason::Failing),
        _ => None,
    };
    let tries = delivery.attempts.saturating_add(1);
    let is_over = at.steady - delivery.queued_at >= PATIENCE_MS && tries >= LEAST_TRIES;
    let fate = if disable.is_some() || is_over {
        Fate::Failed
    } else {
        Fate::Retried(at.now + wait(tries, at.roll).max(asked))
    };
    Outcome { fate, pulse: Some(pulse), disable }
}

/// Whether nothing is sent at `now`, because an attempt has failed.
pub fn waits(retry_at: Option<i64>, now: i64) -> bool {
    retry_at.is_some_and(|at| at > now && at - now <= LONGEST_ASKED_MS)
}

fn wait(failures: i32, roll: f64) -> i64 {
    i64::try_from(WAITS.wait(failures.unsigned_abs(), roll).as_millis()).unwrap_or(DAY_MS)
}

/// The wait that a `Retry-After` asks for, in milliseconds: seconds, or a date.
pub fn retry_after(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(seconds) => (seconds >= 0).then(|| seconds.saturating_mul(1_000)),
        Err(_) => Some((DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis() - now).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use entity::webhook::{Kind, State};
    use entity::webhook_delivery::State as DeliveryState;
    use uuid::Uuid;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn webhook() -> Webhook {
        Webhook {
            id: Uuid::nil(),
            kind: Kind::Standard,
            url: "https://a.example/".into(),
            description: String::new(),
            causes: None,
            only_changes: true,
            account_changes: "[]".into(),
            finding_changes: false,
            scope: None,
            state: State::Enabled,
            disabled_reason: None,
            disabled_at: None,
            secret: Vec::new(),
            secret_generation: 1,
            previous_until: None,
            decided_through: 0,
            findings_through: 0,
            failing_since: None,
            failures: 0,
            retry_at: None,
            last_error: None,
            last_success_at: None,
            created_by: "ada".into(),
            created_by_email: None,
            created_at: 0,
            updated_at: 0,
            revision: 1,
        }
    }

    fn delivery(position: Option<i64>) -> Delivery {
        Delivery {
            id: Uuid::nil(),
            webhook_id: Uuid::nil(),
            position,
            instance_id: None,
            message_type: "instance.sync_failed".into(),
            body: "{}".into(),
            state: DeliveryState::Queued,
            attempts: 0,
            queued_at: NOW,
            next_try_at: NOW,
            last_try_at: None,
            delivered_at: None,
            status: None,
            last_error: None,
            answer: None,
            created_at: NOW,
            held_until: None,
        }
    }

    fn status(status: u16, retry_after: Option<i64>) -> Answer {
        Answer::Status { status, text: String::new(), retry_after, meaning: None }
    }

    fn at(now: i64) -> Moment {
        Moment { begun: now, now, steady: now, roll: 0.5 }
    }

    #[test]
    fn a_receiver_that_never_accepts_is_tried_at_growing_waits_and_switched_off_after_three_days() {
        let (mut hook, mut own, mut now, mut waits) = (webhook(), delivery(Some(4)), NOW, Vec::new());
        loop {
            let Outcome { fate, pulse, disable } = outcome(&status(500, None), &own, &hook, at(now));
            let pulse = pulse.unwrap();
            (hook.failing_since, hook.failures, hook.retry_at) = (pulse.failing_since, pulse.failures, pulse.retry_at);
            if let Some(reason) = disable {
                assert_eq!((reason, fate), (DisabledReason::Failing, Fate::Failed));
                break;
            }
            let Fate::Retried(next) = fate else { panic!("{fate:?}") };
            assert_eq!(Some(next), pulse.retry_at);
            waits.push(next - now);
            own.attempts += 1;
            now = next;
        }
        assert!(waits.is_sorted() && waits[..4] == [5_000, 10_000, 20_000, 40_000], "{waits:?}");
        assert!((PATIENCE_MS..PATIENCE_MS + DAY_MS).contains(&(now - NOW)) && waits.len() > 20, "{waits:?}");
    }

    #[test]
    fn what_was_tried_together_fails_together() {
        let mut hook = webhook();
        for _ in 0..4 {
            let pulse = outcome(&status(502, None), &delivery(Some(4)), &hook, at(NOW)).pulse.unwrap();
            (hook.failing_since, hook.failures, hook.retry_at) = (pulse.failing_since, pulse.failures, pulse.retry_at);
        }
        assert_eq!((hook.failures, hook.retry_at), (1, Some(NOW + 5_000)));
    }

    #[test]
    fn gone_ends_it_and_a_wait_that_is_asked_for_is_kept() {
        let gone = outcome(&status(410, None), &delivery(Some(4)), &webhook(), at(NOW));
        assert_eq!((gone.fate, gone.disable), (Fate::Failed, Some(DisabledReason::Gone)));
        for (status_code, asked, waited) in
            [(429, 60_000, 60_000), (503, 90_000, 90_000), (500, 60_000, 5_000), (429, 40 * DAY_MS, DAY_MS)]
        {
            let told = outcome(&status(status_code, Some(asked)), &delivery(Some(4)), &webhook(), at(NOW));
            assert_eq!(told.fate, Fate::Retried(NOW + waited), "{status_code}");
            assert_eq!(told.pulse.unwrap().retry_at, Some(NOW + waited), "{status_code}");
        }
    }

    #[test]
    fn what_a_service_means_decides() {
        let told = |verdict| Answer::Status {
            status: 404,
            text: String::new(),
            retry_after: None,
            meaning: Some((verdict, "The channel is archived.".into())),
        };
        let after = |verdict| outcome(&told(verdict), &delivery(Some(4)), &webhook(), at(NOW));
        assert_eq!(after(Verdict::Gone).disable, Some(DisabledReason::Gone));
        let refused = after(Verdict::Refused);
        assert_eq!((refused.fate, refused.disable), (Fate::Failed, None));
        assert_eq!(refused.pulse.unwrap().failing_since, None, "the receiver works");
        assert!(matches!(after(Verdict::Again).fate, Fate::Retried(_)));
        assert_eq!(told(Verdict::Again).error().unwrap(), "The channel is archived. (Status 404.)");
    }

    #[test]
    fn one_message_that_is_refused_is_given_up_and_the_webhook_goes_on() {
        let (mut own, mut hook) = (delivery(Some(4)), webhook());
        own.attempts = LEAST_TRIES;
        own.queued_at = NOW - PATIENCE_MS;
        hook.last_success_at = Some(NOW - 1);
        let refused = outcome(&status(400, None), &own, &hook, at(NOW));
        assert_eq!((refused.fate, refused.disable), (Fate::Failed, None));
        own.attempts = 0;
        assert!(matches!(outcome(&status(400, None), &own, &hook, at(NOW)).fate, Fate::Retried(_)));
    }

    #[test]
    fn a_success_ends_the_wait_and_a_test_that_fails_changes_nothing() {
        let failing = Webhook { failing_since: Some(1), failures: 9, retry_at: Some(NOW + 1), ..webhook() };
        for position in [None, Some(4)] {
            let accepted = outcome(&status(204, None), &delivery(position), &failing, at(NOW));
            let quiet = Pulse { failing_since: None, failures: 0, retry_at: None };
            assert_eq!((accepted.fate, accepted.pulse), (Fate::Delivered, Some(quiet)));
        }
        for answer in [status(410, None), status(302, None), Answer::None("no".into())] {
            let failed = outcome(&answer, &delivery(None), &failing, at(NOW));
            assert_eq!(failed, Outcome { fate: Fate::Failed, pulse: None, disable: None });
            assert!(answer.error().is_some());
        }
    }

    #[test]
    fn a_wait_that_only_a_wrong_clock_can_have_written_does_not_count() {
        for (at, expected) in [(0, false), (1, true), (LONGEST_ASKED_MS, true), (LONGEST_ASKED_MS + 1, false)] {
            assert_eq!(waits(Some(NOW + at), NOW), expected, "{at}");
        }
        assert!(!waits(None, NOW));
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        for (text, wait) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("-1", None),
            ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10_000)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, 1_700_000_000_000), wait, "{text}");
        }
    }
}
