//! The requests to chats and alert managers: what is stored of a message, and what is secret.

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use entity::webhook::Kind;
use integration::engine::{Body, Request};
use serde_json::{Value, json};
use url::Url;

use super::kind::Address;
use crate::clock::date_time;

/// The request that sends the message with a body to a receiver.
pub fn message(kind: Kind, address: &Address, body: &str, now: i64) -> Result<Request, String> {
    let mut url = Url::parse(&address.url).map_err(|_| "The address cannot be used. Enter it again.")?;
    let parsed =
        || serde_json::from_str::<Value>(body).map_err(|error| format!("The message cannot be sent: {error}."));
    match kind {
        Kind::Ntfy => {
            let mut body = parsed()?;
            body["topic"] = url.path().trim_matches('/').into();
            url.set_path("/");
            Ok(request(url, bearer(address)?, body))
        }
        Kind::Pagerduty => {
            let mut body = parsed()?;
            body["routing_key"] = address.key.clone().into();
            Ok(request(url, None, body))
        }
        Kind::Opsgenie => {
            let mut body = parsed()?;
            let alias = body["alias"].as_str().unwrap_or_default();
            let alerts = completed(&url, "/v2/alerts");
            match body["action"].as_str() {
                Some("create") | None => url.set_path(&alerts),
                Some(action) => {
                    url.set_path(&format!("{alerts}/{alias}/{action}"));
                    url.set_query(Some("identifierType=alias"));
                }
            }
            let key = address.key.as_deref().unwrap_or_default();
            Ok(request(url, Some(header(&format!("GenieKey {key}"))?), body["body"].take()))
        }
        Kind::Alertmanager => alerts(address, &[body], now),
        _ => Ok(Request::with_body(url, HeaderMap::new(), Some(Body::WrittenJson(body.to_owned())))),
    }
}

/// The request that tells an Alertmanager about alerts.
pub fn alerts(address: &Address, bodies: &[&str], now: i64) -> Result<Request, String> {
    let mut url = Url::parse(&address.url).map_err(|_| "The address cannot be used. Enter it again.")?;
    url.set_path(&completed(&url, "/api/v2/alerts"));
    let alert = |body: &&str| {
        let mut alert: Value = serde_json::from_str(body).ok()?;
        let lasts = alert.as_object_mut()?.remove("lasts").and_then(|lasts| lasts.as_i64()).unwrap_or_default();
        alert["endsAt"] = date_time(now + lasts).to_rfc3339_opts(SecondsFormat::Millis, true).into();
        Some(alert)
    };
    let alerts: Vec<Value> = bodies.iter().filter_map(alert).collect();
    let authorization = match &address.key {
        Some(key) if key.contains(':') => Some(header(&format!("Basic {}", STANDARD.encode(key)))?),
        _ => bearer(address)?,
    };
    Ok(request(url, authorization, json!(alerts)))
}

/// The path with its end, which people may have left out.
fn completed(url: &Url, end: &str) -> String {
    let path = url.path().trim_end_matches('/');
    format!("{}{end}", path.strip_suffix(end).unwrap_or(path))
}

fn bearer(address: &Address) -> Result<Option<HeaderValue>, String> {
    address.key.as_ref().map(|key| header(&format!("Bearer {key}"))).transpose()
}

fn header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "The key cannot be used. Enter it again.")?;
    value.set_sensitive(true);
    Ok(value)
}

fn request(url: Url, authorization: Option<HeaderValue>, body: Value) -> Request {
    let headers = authorization.into_iter().map(|value| (AUTHORIZATION, value)).collect();
    Request::with_body(url, headers, Some(Body::Json(body)))
}
