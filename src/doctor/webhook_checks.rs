//! The checks of webhooks and their deliveries. Each is one SQL statement, see [`super::sql_checks`].

use super::Subject;
use super::sql_checks::Row;

const SWITCH: &str =
    "Switch the webhook off and on again (updateWebhook). Keep a backup of the database as it was and report it.";

pub(super) const CHECKS: &[Row] = &[
    (
        "webhooks",
        "A webhook has a reason and a time exactly when it is switched off, and its last event is in the log or before it.",
        Subject::Webhook,
        SWITCH,
        "SELECT id, 'it is ' || state || ', but that does not fit its reason and time' AS wrong FROM webhook
        WHERE (state = 'disabled') <> (disabled_reason IS NOT NULL AND disabled_at IS NOT NULL)
            OR (state = 'enabled' AND (disabled_reason IS NOT NULL OR disabled_at IS NOT NULL))
        UNION ALL
        SELECT id, 'it was decided about events that the log does not have yet' FROM webhook
        WHERE decided_through > (SELECT MAX(seq) FROM event)
        UNION ALL
        SELECT id, 'it was decided about changes of findings that the log does not have yet' FROM webhook
        WHERE findings_through > (SELECT newest FROM finding_log)
        UNION ALL
        SELECT id, 'it has failed, but since no time, or the other way round' FROM webhook
        WHERE (failures > 0) <> (failing_since IS NOT NULL)",
    ),
    (
        "webhook-deliveries",
        "A delivery and an alert belong to a webhook. A delivery that waits has a job, and its webhook is not switched off, unless it is a test.",
        Subject::Webhook,
        SWITCH,
        "SELECT d.webhook_id AS id, 'it does not exist, but has ' || CAST(COUNT(*) AS TEXT) || ' deliveries' AS wrong
        FROM webhook_delivery d WHERE NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = d.webhook_id) GROUP BY d.webhook_id
        UNION ALL
        SELECT a.webhook_id, 'it does not exist, but has ' || CAST(COUNT(*) AS TEXT) || ' open alerts'
        FROM webhook_alert a WHERE NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = a.webhook_id) GROUP BY a.webhook_id
        UNION ALL
        SELECT w.id, 'messages wait for it, but there is no job that sends them' FROM webhook w
        WHERE EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'queued')
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'webhook' AND j.subject = w.id)
        UNION ALL
        SELECT w.id, 'it is switched off, but messages wait for it' FROM webhook w
        WHERE w.state = 'disabled' AND EXISTS (SELECT 1 FROM webhook_delivery d
            WHERE d.webhook_id = w.id AND d.state = 'queued' AND d.position IS NOT NULL)",
    ),
];
