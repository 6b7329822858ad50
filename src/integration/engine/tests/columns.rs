//! Mapping records to columns.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::engine::body;
use crate::engine::join::JoinedLists;
use crate::engine::map::{MappedUsers, map_users};
use crate::engine::record::read_records;
use crate::manifest::expr::Document;
use crate::source::{Capability, ErrorClass, Loss};
use crate::user::UserStatus::{Active, Invited, Suspended, Unknown};
use crate::user::{AccountKind, SourceUser, Timestamp, UserField};

fn read(map: &str, page: Value) -> Vec<SourceUser> {
    let manifest = manifest(&format!("  pages: none\n  records: $\n  map: {map}"), "");
    map_page(&manifest, page).users
}

/// Maps a page without joins and details.
fn map_page(manifest: &Manifest, page: Value) -> MappedUsers {
    let users = &manifest.users;
    let entries = body::take_list(users.lists[0].list(), &mut Document::new(page)).unwrap();
    let page = read_records(users, 0, &JoinedLists::default(), &BTreeSet::new(), entries).unwrap();
    map_users(users, 0, &BTreeSet::new(), page.users)
}

fn one(map: &str, record: &Value) -> SourceUser {
    read(map, json!([record])).remove(0)
}

#[test]
fn texts_are_coalesced_joined_made_up_and_looked_up() {
    let name = |rule: &str, record: Value| {
        one(&format!("{{external_id: $.id, status: active, display_name: {rule}}}"), &record).display_name
    };
    let record =
        || json!({"id": 1, "a": null, "b": " ", "c": "Cee", "list": [{"v": ""}, {"v": "second"}], "n": 12, "o": {}});
    assert_eq!(name("[$.missing, $.a, $.b, $.o, $.c]", record()).as_deref(), Some("Cee"));
    assert_eq!(name("'$.list[*].v'", record()).as_deref(), Some("second"));
    assert_eq!(name("{join: [$.c, $.a, $.n], with: '-'}", record()).as_deref(), Some("Cee-12"));
    assert_eq!(name("{join: [$.a, $.b]}", record()), None);
    assert_eq!(name("[{when: '$[?@.n > 20]', then: $.c}, {const: fixed}]", record()).as_deref(), Some("fixed"));
    assert_eq!(name("{of: $.n, values: {12: dozen}}", record()).as_deref(), Some("dozen"));
    assert_eq!(name("{of: $.c, values: {12: dozen}}", record()).as_deref(), Some("Cee"));
    assert_eq!(name("\"$['urn:x:2.0:User'].k\"", json!({"id": 1, "urn:x:2.0:User": {"k": "v"}})).as_deref(), Some("v"));
}

#[test]
fn texts_are_tidied_and_bounded() {
    let record = json!({"id": " 7\u{0}\n", "email": format!("{}@x", "é".repeat(400)), "name": format!("a\r\n\u{1b}[2J{}", "b".repeat(10_000))});
    let user = one("{external_id: $.id, email: $.email, display_name: $.name, status: active}", &record);
    assert_eq!(user.external_id, "7");
    assert_eq!(user.email.unwrap().chars().count(), 320);
    let name = user.display_name.unwrap();
    assert_eq!((name.chars().count(), name.starts_with("a [2Jb")), (500, true));
}

#[test]
fn ids_that_are_numbers_become_decimal_text() {
    let users = read(
        "{external_id: $.id, display_name: $.id, status: active}",
        json!([{"id": 9_007_199_254_740_993_u64}, {"id": "007"}]),
    );
    assert_eq!(users.iter().map(|user| user.external_id.as_str()).collect::<Vec<_>>(), ["9007199254740993", "007"]);
}

#[test]
fn statuses_that_are_not_known_are_unknown_and_counted() {
    let map = "{external_id: $.id, display_name: $.id, status: [{when: '$[?@.deleted == true]', then: suspended}, {of: $.status, values: {Active: active, PENDING: invited}}, unknown]}";
    let manifest = manifest(&format!("  pages: none\n  records: $\n  map: {map}"), "");
    let page = json!([{"id": 1, "status": "ACTIVE"}, {"id": 2, "status": "pending"}, {"id": 3, "status": "on_leave"}, {"id": 4}, {"id": 5, "deleted": true, "status": "active"}]);
    let mapped = map_page(&manifest, page);
    let statuses: Vec<_> = mapped.users.iter().map(|user| user.status).collect();
    assert_eq!(statuses, [Active, Invited, Unknown, Unknown, Suspended]);
    assert_eq!(mapped.unknown_statuses, 1, "a missing status is not a strange one");
}

#[test]
fn flags_are_paths_or_tests_and_may_be_unknown() {
    let admin = |rule: &str, record: Value| {
        one(&format!("{{external_id: $.id, display_name: $.id, status: active, is_admin: {rule}}}"), &record).is_admin
    };
    assert_eq!(admin("$.admin", json!({"id": 1, "admin": true})), Some(true));
    assert_eq!(admin("$.admin", json!({"id": 1, "admin": "False"})), Some(false));
    assert_eq!(admin("$.admin", json!({"id": 1, "admin": null})), None);
    assert_eq!(admin("[$.owner, $.admin]", json!({"id": 1, "admin": 1})), Some(true));
    assert_eq!(admin("{not: $.guest}", json!({"id": 1, "guest": true})), Some(false));
    assert_eq!(admin("{not: $.guest}", json!({"id": 1})), None);
    let any = "{any: [\"$[?@.role == 'admin']\", '$[?@.owner]'], known_when: '$[?@.role]'}";
    assert_eq!(admin(any, json!({"id": 1, "role": "admin"})), Some(true));
    assert_eq!(admin(any, json!({"id": 1, "role": "user"})), Some(false));
    assert_eq!(admin(any, json!({"id": 1})), None);
    let pattern = "{any: [{of: [$.title, '$.roles[*]'], matches: '^admin'}]}";
    assert_eq!(admin(pattern, json!({"id": 1, "roles": ["user", "admins"]})), Some(true));
    assert_eq!(admin(pattern, json!({"id": 1, "title": "no admin"})), Some(false));
    let all = "{all: ['$[?@.a == 1]', '$[?@.b == 1]']}";
    assert_eq!(admin(all, json!({"id": 1, "a": 1, "b": 1})), Some(true));
    assert_eq!(admin(all, json!({"id": 1, "a": 1})), Some(false));
}

#[test]
fn licences_are_all_values_once_and_bounded() {
    let licenses = |rule: &str, record: Value| {
        one(&format!("{{external_id: $.id, display_name: $.id, status: active, licenses: {rule}}}"), &record).licenses
    };
    assert_eq!(
        licenses("'$.seats[*]'", json!({"id": 1, "seats": ["a", "b", "a", "", null]})),
        Some(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(
        licenses(
            "[{of: $.type, values: {2: Licensed}}, '$.addons[*].name']",
            json!({"id": 1, "type": 2, "addons": [{"name": "X"}]})
        ),
        Some(vec!["Licensed".to_owned(), "X".to_owned()])
    );
    assert_eq!(licenses("'$.seats[*]'", json!({"id": 1})), Some(Vec::new()));
    let many: Vec<u64> = (0..1000).collect();
    assert_eq!(licenses("'$.seats[*]'", json!({"id": 1, "seats": many})).unwrap().len(), 100);
}

#[test]
fn the_kind_of_an_account_is_of_a_fixed_set_and_never_guessed() {
    let map = "{external_id: $.id, display_name: $.id, status: active, kind: [{when: '$[?@.bot == true]', then: service}, \
               {of: $.type, values: {Person: human, room: shared}}]}";
    let manifest = manifest(&format!("  pages: none\n  records: $\n  map: {map}"), "");
    let page = json!([{"id": 1, "bot": true, "type": "person"}, {"id": 2, "type": "PERSON"}, {"id": 3, "type": "room"},
        {"id": 4, "type": "robot"}, {"id": 5}]);
    let mapped = map_page(&manifest, page);
    let kinds: Vec<_> = mapped.users.iter().map(|user| user.kind).collect();
    assert_eq!(kinds, [Some(AccountKind::Service), Some(AccountKind::Human), Some(AccountKind::Shared), None, None]);
    assert_eq!(mapped.unknown_statuses, 0, "only statuses are counted");
    assert_eq!(manifest.capabilities(), [Capability::Users]);
}

#[test]
fn no_activity_means_never_only_if_the_manifest_says_so() {
    let at = |absent: &str, record: Value| {
        let map = "{external_id: $.id, display_name: $.id, status: active, \
                   last_active_at: {from: $.seen, format: iso, null_if: [none], known_when: '$[?@.bot != true]'}}";
        let manifest = manifest(&format!("  pages: none\n  records: $\n  absent: {absent}\n  map: {map}"), "");
        map_page(&manifest, json!([record])).users.remove(0).last_active_at
    };
    let never = "{last_active_at: never}";
    for record in [json!({"id": 1}), json!({"id": 1, "seen": "none"}), json!({"id": 1, "seen": "1970-01-01T00:00:00Z"})]
    {
        assert_eq!(at("{}", record.clone()), None, "{record}");
        assert_eq!(at(never, record.clone()), Some(Timestamp::NEVER), "{record}");
    }
    assert_eq!(at(never, json!({"id": 1, "seen": "1970-01-01T00:00:01Z"})), Some(Timestamp(1_000)));
    assert_eq!(
        at(never, json!({"id": 1, "bot": true})),
        None,
        "`known_when` says that it is not told for such an account"
    );
}

#[test]
fn the_name_of_a_guest_is_no_address_and_further_addresses_are_addresses() {
    let map = "{external_id: $.id, email: $.upn, display_name: $.id, status: active, aliases: ['$.proxies[*]', '$.others[*]']}";
    let user = |record: Value| one(map, &record);
    let guest = "ann_partner.example#EXT#@acme.onmicrosoft.com";
    let found = user(json!({"id": 1, "upn": guest, "others": ["ann@partner.example", guest.to_lowercase()]}));
    assert_eq!((found.email, found.aliases), (None, Some(vec!["ann@partner.example".to_owned()])));
    let proxies = json!([
        "SMTP:Ann@acme.example",
        "smtp:a.lee@acme.example",
        "X500:/o=Acme/cn=ann",
        "SIP:ann@acme.example",
        "a.lee@acme.example",
        "+49 30 1",
        "",
        "x@",
        "a b@c",
        "Ann Lee <lee@acme.example>"
    ]);
    let found = user(json!({"id": 1, "upn": "ann@acme.example", "proxies": proxies}));
    assert_eq!(found.aliases, Some(vec!["a.lee@acme.example".to_owned(), "lee@acme.example".to_owned()]));
    assert_eq!(user(json!({"id": 1})).aliases, Some(Vec::new()), "the user has none");
}

#[test]
fn moments_are_read_in_their_format() {
    let active = |format: &str, value: Value| {
        one(&format!("{{external_id: $.id, display_name: $.id, status: active, last_active_at: {{from: $.at, format: {format}, null_if: [never]}}}}"), &json!({"id": 1, "at": value})).last_active_at.map(|time| time.0)
    };
    for iso in [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T12:00:00.000+0000",
        "2026-03-01 12:00:00",
        "2026-03-01T12:00:00",
    ] {
        assert_eq!(active("iso", json!(iso)), Some(NOW), "{iso}");
    }
    assert_eq!(active("iso", json!("2026-03-01")), Some(NOW - 12 * 3_600_000));
    assert_eq!(active("iso", json!("1970-01-01T00:00:00.000Z")), None);
    assert_eq!(active("iso", json!("never")), None);
    assert_eq!(active("iso", json!("yesterday")), None);
    assert_eq!(active("epoch_s", json!(1_772_366_400)), Some(NOW));
    assert_eq!(active("epoch_s", json!("1772366400.5")), Some(NOW + 500));
    assert_eq!(active("epoch_s", json!("9999999999999999999")), None);
    assert_eq!(active("epoch_ms", json!(NOW)), Some(NOW));
    assert_eq!(active("epoch_ms", json!(0)), None);
}

#[tokio::test]
async fn records_that_are_no_users_are_skipped_and_count_for_the_paging() {
    let peer = Peer::answering(|_, call| {
        let page = match parameter(call, "offset").unwrap() {
            0 => json!([{"id": 1, "email": "a"}, {"id": 2, "is_bot": true}, {"is_bot": true}]),
            3 => json!([{"id": 4, "email": "b"}]),
            other => panic!("{other}"),
        };
        ok(&json!({"users": page, "total": 4}))
    })
    .await;
    let users =
        "  pages: {offset: {param: offset, total: $.total}}\n  records: $.users\n  skip_if: ['$[?@.is_bot == true]']";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), ["1", "4"]);
}

#[tokio::test]
async fn a_column_that_no_record_carries_is_a_missing_permission() {
    let map = "  map: {external_id: $.id, email: $.email, mfa_enabled: $.mfa, status: active}\n";
    let users =
        format!("{map}  require_some: {{email: 'users:read.email', mfa_enabled: admin}}\n  pages: none\n  records: $");
    let run = async |page: Value| all(&source(manifest(&users, ""), &Peer::always(200, page).await.origin)).await;

    let error = run(json!([{"id": 1, "mfa": true}, {"id": 2}])).await.unwrap_err();
    assert_eq!((error.class, error.missing_permissions), (ErrorClass::Permission, vec!["users:read.email".to_owned()]));
    let pages = run(json!([{"id": 1}, {"id": 2, "email": "b"}])).await.unwrap();
    assert_eq!(pages[0].lost, [Loss::new(Capability::Mfa, Some("admin".to_owned()), None)]);
    assert!(run(json!([])).await.unwrap()[0].lost.is_empty(), "nobody there, nothing missing");
}

#[test]
fn a_field_that_a_complete_record_lacks_is_nothing_unless_the_manifest_knows_better() {
    let map = "{external_id: $.id, email: $.email, status: active, is_admin: {any: ['$[?@.role == 1]'], known_when: '$[?@.role]'}, \
               mfa_enabled: $.mfa, licenses: '$.seats[*]'}";
    let user = |absent: &str, record: Value| {
        let manifest = manifest(&format!("  pages: none\n  records: $\n  absent: {absent}\n  map: {map}"), "");
        map_page(&manifest, json!([record])).users.remove(0)
    };
    let plain = user("{}", json!({"id": 1}));
    assert_eq!((plain.email, plain.is_admin, plain.mfa_enabled), (None, None, None));
    assert_eq!((plain.licenses, plain.refused), (Some(Vec::new()), BTreeSet::new()));
    let absent = user("{mfa_enabled: no, licenses: unknown, email: incomplete, is_admin: no}", json!({"id": 1}));
    assert_eq!((absent.mfa_enabled, absent.licenses, absent.email), (Some(false), None, None));
    assert_eq!(absent.is_admin, None, "`known_when` says that it is not told for such an account");
    assert_eq!(absent.refused, BTreeSet::from([UserField::Email]));
    let empty = user("{licenses: incomplete}", json!({"id": 1, "mfa": true, "email": ""}));
    assert_eq!((empty.licenses, empty.email, empty.mfa_enabled), (None, None, Some(true)));
    assert_eq!(empty.refused, BTreeSet::from([UserField::Licenses]));
}

#[tokio::test]
async fn a_list_may_tell_the_status_of_everybody_on_it() {
    let peer = Peer::answering(|_, call| ok(&records([parameter(call, "status").unwrap()]).into())).await;
    let keys = "  lists: [{query: {status: '1'}}, {query: {status: '3'}, map: {status: suspended}}]\n  map: {external_id: $.id, email: $.email, status: active}\n  pages: none\n  records: $";
    let pages = all(&source(manifest(keys, ""), &peer.origin)).await.unwrap();
    let statuses: Vec<_> = pages.iter().flat_map(|page| &page.users).map(|user| user.status).collect();
    assert_eq!(statuses, [Active, Suspended]);
}

#[tokio::test]
async fn a_required_field_that_nobody_has_is_refused_and_not_nothing() {
    let users = "  map: {external_id: $.id, email: $.email, mfa_enabled: $.mfa, status: active}\n  require_some: {mfa_enabled: admin}\n  pages: none\n  records: $";
    let run =
        async |page: Value| all(&source(manifest(users, ""), &Peer::always(200, page).await.origin)).await.unwrap();
    let pages = run(json!([{"id": 1, "email": "a"}])).await;
    assert_eq!(pages[0].users[0].refused, BTreeSet::from([UserField::MfaEnabled]));
    let pages = run(json!([{"id": 1, "email": "a"}, {"id": 2, "mfa": true}])).await;
    assert!(pages[0].users[0].refused.is_empty());
}

#[tokio::test]
async fn never_is_no_sign_that_a_required_field_is_told() {
    let users = "  map: {external_id: $.id, email: $.email, last_active_at: {from: $.seen, format: iso}, status: active}\n  \
                 require_some: {last_active_at: logs.read}\n  absent: {last_active_at: never}\n  pages: none\n  records: $";
    let run =
        async |page: Value| all(&source(manifest(users, ""), &Peer::always(200, page).await.origin)).await.unwrap();
    let mut pages = run(json!([{"id": 1, "email": "a"}, {"id": 2, "seen": null}])).await;
    let lost: Vec<_> = pages.last().unwrap().lost.iter().map(|loss| loss.capability).collect();
    assert_eq!(lost, [Capability::LastActivity]);
    assert!(pages.remove(0).users.iter().all(|user| user.refused.contains(&UserField::LastActiveAt)));
    let pages = run(json!([{"id": 1, "email": "a"}, {"id": 2, "seen": "2026-01-01"}])).await;
    assert!(pages.last().unwrap().lost.is_empty() && pages[0].users[0].refused.is_empty());
    assert_eq!(pages[0].users[0].last_active_at, Some(Timestamp::NEVER));
}
