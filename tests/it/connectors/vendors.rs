//! The manifests of six applications against a fake of each. Requests and responses are checked against the vendor's
//! API description.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Map, Value, json};

use crate::peers::Vendor;
use crate::process::Home;
use crate::support::http;

/// A vendor's manifest, and the expected result.
struct Case {
    key: &'static str,
    config: &'static [(&'static str, &'static str)],
    pages: u64,
    /// How many records are not users.
    skipped: u64,
    users: Value,
    /// Expected requests that the vendor's document does not describe.
    outside: &'static [&'static str],
    /// A request that violates the document, its `Authorization` header, and a part of the reported violation.
    wrong: (&'static str, &'static str, &'static str),
    /// A request with a parameter that the document does not declare.
    unknown: &'static str,
}

/// Runs `muster connectors try` with the fake in place of the vendor's origin.
fn listed(manifest: &str, config: &[(&str, &str)], vendor: &Vendor) -> Output {
    let origin = format!("{}={}", vendor.plays, vendor.origin);
    let settings: Vec<_> = config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut arguments = vec!["connectors", "try", manifest, "--json", "--origin", &origin];
    arguments.extend(settings.iter().flat_map(|setting| ["--config", setting]));
    Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8").run(&arguments)
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn manifest(key: &str) -> PathBuf {
    PathBuf::from(format!("{}/src/integration/connectors/{key}.yaml", env!("CARGO_MANIFEST_DIR")))
}

/// Users by id, without unknown fields.
fn known(users: &Value) -> BTreeMap<String, Map<String, Value>> {
    let known = |user: &Value| {
        let mut user = user.as_object().unwrap().clone();
        user.retain(|_, value| !value.is_null() && *value != json!([]));
        (user["external_id"].as_str().unwrap().to_owned(), user)
    };
    users.as_array().unwrap().iter().map(known).collect()
}

impl Case {
    async fn holds(self) {
        let vendor = Vendor::start(self.key);
        let manifest = manifest(self.key);
        let output = listed(manifest.to_str().unwrap(), self.config, &vendor);
        let found = answer(&output);
        let report = vendor.report().await;
        assert!(output.status.success(), "{report:#?} {output:?}");
        let sums = json!({
            "pages": found["pages"], "skipped": found["skipped"], "unknownStatuses": found["unknownStatuses"],
            "lost": found["lost"], "whole": found["whole"], "error": found["error"],
        });
        let wanted = json!({
            "pages": self.pages, "skipped": self.skipped, "unknownStatuses": 0, "lost": [], "whole": true, "error": null,
        });
        assert_eq!(sums, wanted, "{found:#} {report:#?}");
        assert_eq!(known(&found["users"]), known(&self.users));
        assert_eq!(found["users"].as_array().unwrap().len(), self.users.as_array().unwrap().len(), "each comes once");

        assert_eq!(report.violations, Vec::<Value>::new());
        assert_eq!(report.undeclared, Vec::<String>::new());
        assert_eq!(report.outside, self.outside, "calls that the document does not judge");
        assert!(report.judged >= self.pages, "{report:?}");
        self.judge_sees_what_is_wrong(&vendor).await;
    }

    /// Checks that the fake reports a bad request, an undeclared parameter and a bad response.
    async fn judge_sees_what_is_wrong(&self, vendor: &Vendor) {
        let (call, signature, reason) = self.wrong;
        for path in [call, self.unknown] {
            http().get(format!("{}{path}", vendor.origin)).header("authorization", signature).send().await.unwrap();
        }
        let report = vendor.report().await;
        assert!(report.violations[0].to_string().contains(reason), "{report:#?}");
        assert_eq!(report.undeclared.len(), 1, "{report:#?}");

        let before = report.violations.len();
        vendor.spoil().await;
        let manifest = manifest(self.key);
        let output = listed(manifest.to_str().unwrap(), self.config, vendor);
        let found = answer(&output);
        let is_told = !found["error"].is_null() || found["lost"] != json!([]);
        assert!(is_told, "what is wrong fails the listing, or a part of it: {output:?}");
        let report = vendor.report().await;
        assert!(report.violations[before].to_string().contains("response"), "{report:#?}");
    }
}

const SEEN: &str = "2026-02-27T08:15:30Z";

/// A user as `try` prints it, with further columns.
fn user(id: &str, name: &str, status: &str, is_admin: bool, more: Value) -> Value {
    let email = format!("{}@example.com", name.split(' ').next().unwrap().to_lowercase());
    let mut user =
        json!({ "external_id": id, "email": email, "display_name": name, "status": status, "is_admin": is_admin });
    let Value::Object(more) = more else { panic!("{more}") };
    user.as_object_mut().unwrap().extend(more);
    user
}

const MADE: &str = "2024-05-06T07:08:09Z";

/// Adds these columns to the users that do not have them.
fn each(mut users: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    for user in users.as_array_mut().unwrap() {
        for (column, value) in &more {
            user.as_object_mut().unwrap().entry(column).or_insert_with(|| value.clone());
        }
    }
    users
}

fn okta_users() -> Value {
    json!([
        user("00u1AbCdEfGhIjKlMn", "Ann Admin", "active", true, json!({ "mfa_enabled": true, "last_active_at": SEEN })),
        user(
            "00u2AbCdEfGhIjKlMn",
            "Bob Brown",
            "active",
            false,
            json!({ "is_admin": null, "mfa_enabled": true, "last_active_at": SEEN })
        ),
        user(
            "00u3AbCdEfGhIjKlMn",
            "Cleo Closed",
            "suspended",
            false,
            json!({ "is_admin": null, "last_active_at": SEEN })
        ),
        user("00u4AbCdEfGhIjKlMn", "Dee Dunn", "invited", false, json!({ "is_admin": null, "mfa_enabled": false })),
        user("00u5AbCdEfGhIjKlMn", "Eve Early", "active", false, json!({ "is_admin": null, "mfa_enabled": false })),
        user(
            "00u6AbCdEfGhIjKlMn",
            "Finn Founder",
            "active",
            true,
            json!({ "mfa_enabled": true, "last_active_at": SEEN })
        ),
        user(
            "00u8AbCdEfGhIjKlMn",
            "Gus Guest",
            "active",
            false,
            json!({ "is_admin": null, "mfa_enabled": false, "last_active_at": SEEN })
        ),
    ])
}

#[tokio::test]
async fn okta() {
    Case {
        key: "okta",
        config: &[
            ("authentication", "token"),
            ("domain", "acme.okta.com"),
            ("token", "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_abcd"),
        ],
        pages: 3,
        skipped: 0,
        // Whoever is not on the list of administrators may be one by a group.
        users: each(okta_users(), json!({ "created_at": MADE, "department": "Works", "last_active_at": "never" })),
        outside: &["GET /api/v1/iam/assignees/users", "GET /api/v1/users/*/factors"],
        wrong: ("/api/v1/users?limit=many", "Bearer x", "must be integer"),
        unknown: "/api/v1/users?page_size=3",
    }
    .holds()
    .await;
}

#[tokio::test]
async fn slack() {
    let mfa = |enabled: bool| json!({ "mfa_enabled": enabled });
    let mut gone = user("U03ABCDEFG", "Cleo Closed", "suspended", false, json!({ "guest": null }));
    gone.as_object_mut().unwrap().remove("is_admin");
    Case {
        key: "slack",
        config: &[("authentication", "token"), ("token", "xoxb-123456789012-abcdefABCDEF")],
        pages: 3,
        skipped: 0,
        users: each(
            json!([
                user("U01ABCDEFG", "Ann Admin", "active", true, mfa(true)),
                user("U02ABCDEFG", "Bob Brown", "active", false, mfa(true)),
                gone,
                user("U04ABCDEFG", "Dee Dunn", "invited", false, mfa(false)),
                user("U05ABCDEFG", "Eve Early", "active", false, mfa(false)),
                user("U06ABCDEFG", "Finn Founder", "active", true, mfa(true)),
                user(
                    "U07ABCDEFG",
                    "Robo Reporter",
                    "active",
                    false,
                    json!({ "email": null, "kind": "service", "mfa_enabled": false })
                ),
                user("U08ABCDEFG", "Gus Guest", "active", false, json!({ "guest": true, "mfa_enabled": false })),
            ]),
            json!({ "kind": "human", "guest": false }),
        ),
        outside: &["GET /api/auth.test"],
        wrong: ("/api/users.list?limit=many", "Bearer x", "must be integer"),
        unknown: "/api/users.list?page=3",
    }
    .holds()
    .await;
}

#[tokio::test]
async fn asana() {
    let member = |number: u32, name: &str, status: &str, is_admin: bool| {
        user(&format!("120000000000{number}"), name, status, is_admin, json!({ "guest": number == 8 }))
    };
    Case {
        key: "asana",
        config: &[
            ("authentication", "token"),
            ("workspace", "1200000000000"),
            ("token", "2/1200000000001/1200000000002:abcdef0123456789"),
        ],
        pages: 3,
        skipped: 0,
        users: each(
            json!([
                member(1, "Ann Admin", "active", true),
                member(2, "Bob Brown", "active", false),
                member(3, "Cleo Closed", "suspended", false),
                member(4, "Dee Dunn", "active", false),
                member(5, "Eve Early", "active", false),
                member(6, "Finn Founder", "active", true),
                member(8, "Gus Guest", "active", false),
            ]),
            json!({ "created_at": MADE }),
        ),
        outside: &["GET /api/1.0/workspaces/1200000000000/workspace_memberships"],
        wrong: ("/api/1.0/users?limit=101", "Bearer x", "must be <= 100"),
        unknown: "/api/1.0/users?page=3",
    }
    .holds()
    .await;
}

#[tokio::test]
async fn box_() {
    let managed = |number: u32, name: &str, status: &str, is_admin: bool| {
        user(&format!("1100{number}"), name, status, is_admin, json!({}))
    };
    Case {
        key: "box",
        config: &[
            ("authentication", "app"),
            ("client_id", "box-client"),
            ("client_secret", "box-secret"),
            ("enterprise_id", "987654"),
        ],
        pages: 3,
        skipped: 0,
        users: each(
            json!([
                managed(1, "Ann Admin", "active", true),
                managed(2, "Bob Brown", "active", false),
                managed(3, "Cleo Closed", "suspended", false),
                managed(4, "Dee Dunn", "active", false),
                managed(5, "Eve Early", "active", false),
                managed(6, "Finn Founder", "active", true),
                user(
                    "11007",
                    "Robo Reporter",
                    "active",
                    false,
                    json!({ "email": "AutomationUser_1234567_AbCdEf@boxdevedition.com", "kind": "service" })
                ),
                managed(8, "Gus Guest", "active", false),
            ]),
            json!({ "kind": "human", "created_at": MADE }),
        ),
        outside: &["POST /oauth2/token", "GET /2.0/users/me"],
        wrong: ("/2.0/users?user_type=robots", "Bearer x", "must be equal to one of the allowed values"),
        unknown: "/2.0/users?page=3",
    }
    .holds()
    .await;
}

#[tokio::test]
async fn pagerduty() {
    let full = || json!({ "licenses": ["Full User (Business)"] });
    Case {
        key: "pagerduty",
        config: &[("authentication", "token"), ("token", "u+AbCdEfGhIjKlMnOpQr")],
        pages: 2,
        skipped: 0,
        users: json!([
            user("PUSER1", "Ann Admin", "active", true, full()),
            user("PUSER2", "Bob Brown", "active", false, full()),
            user("PUSER4", "Dee Dunn", "invited", false, json!({})),
            user("PUSER5", "Eve Early", "active", false, full()),
            user("PUSER6", "Finn Founder", "active", true, full()),
            user("PUSER8", "Gus Guest", "active", false, json!({ "licenses": ["Stakeholder (Business)"] })),
        ]),
        outside: &["GET /license_allocations"],
        wrong: ("/users?limit=100", "Bearer x", "required property 'content-type'"),
        unknown: "/users?page=3",
    }
    .holds()
    .await;
}

#[tokio::test]
async fn sentry() {
    Case {
        key: "sentry",
        config: &[
            ("address", "https://us.sentry.io"),
            ("organization", "acme"),
            ("token", "sntryu_0123456789abcdef0123456789abcdef"),
        ],
        // Read twice, since its cursors are offsets.
        pages: 6,
        skipped: 0,
        users: each(
            json!([
                user("901", "Ann Admin", "active", true, json!({ "mfa_enabled": true, "last_active_at": SEEN })),
                user("902", "Bob Brown", "active", false, json!({ "mfa_enabled": true, "last_active_at": SEEN })),
                user("903", "Cleo Closed", "suspended", false, json!({ "mfa_enabled": false, "last_active_at": SEEN })),
                user("904", "Dee Dunn", "invited", false, json!({})),
                user("905", "Eve Early", "active", false, json!({ "mfa_enabled": false })),
                user("906", "Finn Founder", "active", true, json!({ "mfa_enabled": true, "last_active_at": SEEN })),
                user("908", "Gus Guest", "active", false, json!({ "mfa_enabled": false, "last_active_at": SEEN })),
            ]),
            json!({ "created_at": MADE }),
        ),
        outside: &[],
        wrong: ("/api/0/organizations/acme/members/", "Basic x", "security requirements"),
        unknown: "/api/0/organizations/acme/members/?per_page=3",
    }
    .holds()
    .await;
}
