//! Property tests with malformed responses: recorded responses with random parts replaced, and random bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use axum::http::HeaderValue;
use proptest::prelude::*;
use proptest::sample::Index;
use reqwest::StatusCode;

use super::*;
use crate::engine::body::{self, BodyError};
use crate::engine::join::JoinedLists;
use crate::engine::map::{MappedUsers, map_users};
use crate::engine::page_info::PageInfo;
use crate::engine::record::{PageRecords, read_records};
use crate::manifest::expr::Document;
use crate::manifest::paging::Paging;
use crate::user::Timestamp;

/// Each built-in manifest, with the responses of its samples.
static BUILT_IN: LazyLock<Vec<(Manifest, Vec<Value>)>> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let read: Vec<_> = files
        .iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            // Another test reports invalid manifests.
            let manifest = manifest::parse(&text, &file.display().to_string()).ok()?;
            Some((manifest, answers(&folder.join("samples").join(file.file_name().unwrap()))))
        })
        .collect();
    assert!(read.len() >= 30, "{}", read.len());
    read
});

fn answers(samples: &Path) -> Vec<Value> {
    let samples: Value = serde_saphyr::from_str(&std::fs::read_to_string(samples).unwrap()).unwrap();
    let exchanges = samples["cases"].as_array().unwrap().iter().filter_map(|case| case["exchanges"].as_array());
    exchanges.flatten().filter_map(|exchange| exchange["answer"].get("body").cloned()).collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~\u{0}\u{e9}\u{1F600}]{0,40}".prop_map(Value::from),
        Just(Value::from("9".repeat(400))),
        Just(Value::from("x".repeat(10_000))),
        Just(Value::from("+262143-12-31T23:59:60Z")),
        Just(Value::from(u64::MAX)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_@]{1,6}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Replaces the nested value number `at` by `new`.
fn replace(value: &mut Value, at: Index, new: Value) {
    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(members) => members.values().map(count).sum(),
            _ => 0_usize,
        }
    }
    fn put(value: &mut Value, left: &mut usize, new: &mut Option<Value>) {
        if *left == 0 {
            if let Some(new) = new.take() {
                *value = new;
            }
            return;
        }
        *left -= 1;
        match value {
            Value::Array(items) => {
                for item in items {
                    if new.is_none() {
                        break;
                    }
                    put(item, left, new);
                }
            }
            Value::Object(members) => {
                for member in members.values_mut() {
                    if new.is_none() {
                        break;
                    }
                    put(member, left, new);
                }
            }
            _ => {}
        }
    }
    let mut left = at.index(count(value));
    put(value, &mut left, &mut Some(new));
}

/// Reads a response as a page of users, and checks what the engine guarantees for every page.
fn page(manifest: &Manifest, body: &Value) {
    let bytes = body.to_string().into_bytes();
    let Ok(mut body) = body::parse(&bytes, StatusCode::OK, Some("application/json")) else { return };
    let list = manifest.users.lists[0].list();
    let _ = PageInfo::read(list.pages, &body, &HeaderMap::new());
    let Ok(entries) = body::take_list(list, &mut body) else { return };
    let count = entries.len();
    let Ok(page) = records_of(manifest, entries) else { return };
    assert!(page.entries + page.duplicates == count as u64);
    let MappedUsers { users, .. } = map_users(&manifest.users, 0, &BTreeSet::new(), page.users);
    assert!(users.len() <= count);
    let ids: BTreeSet<_> = users.iter().map(|user| &user.external_id).collect();
    assert_eq!(ids.len(), users.len());
    for user in &users {
        assert!((1..=512).contains(&user.external_id.len()));
        assert!(user.email.as_ref().is_none_or(|email| (1..=320).contains(&email.chars().count())));
        assert!(user.display_name.as_ref().is_none_or(|name| (1..=500).contains(&name.chars().count())));
        assert!(user.licenses.as_ref().is_none_or(|list| list.len() <= 100));
        assert!(user.last_active_at.is_none_or(|at| at.0 > 0 || at == Timestamp::NEVER));
        assert!(user.created_at.is_none_or(|at| at.0 > 0));
        assert!(user.aliases.as_ref().is_none_or(|list| list.iter().all(|alias| alias.contains('@'))));
        let texts = [user.email.as_deref(), user.display_name.as_deref(), Some(&user.external_id)];
        assert!(texts.into_iter().flatten().all(|text| !text.contains(char::is_control)));
    }
}

fn records_of(manifest: &Manifest, entries: Vec<Value>) -> Result<PageRecords, BodyError> {
    read_records(&manifest.users, 0, &JoinedLists::default(), &BTreeSet::new(), entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_with_anything_in_it_makes_users_within_bounds_or_none(
        which in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any_json()), 0..4),
    ) {
        for (manifest, answers) in BUILT_IN.iter() {
            let mut answer = which.get(answers.as_slice()).clone();
            for (at, new) in &changes {
                replace(&mut answer, *at, new.clone());
            }
            page(manifest, &answer);
        }
    }

    #[test]
    fn a_list_of_anything_makes_users_within_bounds_or_none(records in proptest::collection::vec(any_json(), 0..8)) {
        for (manifest, answers) in BUILT_IN.iter() {
            // Finds a response that contains the list, and puts `records` in its place.
            let mut found = answers.iter().filter_map(|answer| {
                let mut body = Document::new(answer.clone());
                body.take(manifest.users.lists[0].records.path())?;
                Some(body)
            });
            let Some(body) = found.next() else { continue };
            let mut body = body.into_value();
            let hole = manifest.users.lists[0].records.path().to_string().replace("$.", "/").replace('.', "/").replace('$', "");
            if let Some(place) = body.pointer_mut(&hole) {
                *place = records.clone().into();
                page(manifest, &body);
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = body::parse(&bytes, StatusCode::OK, None);
    }

    #[test]
    fn a_link_is_read_as_it_was_written(
        path in "[a-z0-9/,;?&=%\\[\\]]{0,30}",
        before in proptest::collection::vec("[a-z]{3,6}", 0..3),
        title in proptest::option::of("[a-z<>,; =]{0,12}"),
        quoted in any::<bool>(),
    ) {
        let address = format!("https://a.example/{path}");
        let mut links: Vec<String> =
            before.iter().filter(|rel| *rel != "next").map(|rel| format!("<https://a.example/x,;y>; rel=\"{rel}\"")).collect();
        let title = title.map(|title| format!("; title=\"{title}\"")).unwrap_or_default();
        let rel = if quoted { "\"next\"" } else { "next" };
        links.push(format!("<{address}>{title}; rel={rel}"));
        let headers = HeaderMap::from_iter([(axum::http::header::LINK, HeaderValue::from_str(&links.join(", ")).unwrap())]);
        let paging: Paging = serde_json::from_value(json!({"link_header": {}})).unwrap();
        let mut info = PageInfo::read(&paging, &Document::new(Value::Null), &headers);
        prop_assert_eq!(info.next_url_mut(&paging).cloned(), Some(address));
    }
}
