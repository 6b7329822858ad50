//! What the doctor finds about webhooks.

/// Statements that break something, each with the check that finds it. There is one webhook, which is failing.
pub const BREAKS: [(&str, &str); 10] = [
    ("webhooks", "UPDATE webhook SET disabled_reason = 'member'"),
    ("webhooks", "UPDATE webhook SET disabled_at = 1"),
    ("webhooks", "UPDATE webhook SET decided_through = 1000000"),
    ("webhooks", "UPDATE webhook SET findings_through = 9000000000000"),
    ("webhooks", "UPDATE webhook SET failures = 0"),
    ("webhook-deliveries", "DELETE FROM job WHERE kind = 'webhook'"),
    ("webhook-deliveries", "UPDATE webhook SET state = 'disabled', disabled_reason = 'member', disabled_at = 1"),
    ("webhook-deliveries", "UPDATE webhook_delivery SET webhook_id = id"),
    (
        "webhook-deliveries",
        "INSERT INTO webhook_alert SELECT instance_id, instance_id, 1, 'x', '{}', 1 FROM webhook_delivery
            WHERE instance_id IS NOT NULL LIMIT 1",
    ),
    ("secret-key", "UPDATE webhook SET url = 'https://other.example/hook'"),
];
