//! The console: the web pages for people who watch instances, connect applications and fix failing ones.
//!
//! **What it promises.** The pages are part of the binary and load nothing from elsewhere.
//! They use only the public API, so a script can do the same with a token of the same role. Their
//! content security policy forbids inline scripts, foreign addresses, frames, and every way to make HTML or a script of
//! a text. All data from the server is shown as text, never as HTML. The explorer is a page of its own with a policy of
//! its own, because its library writes styles into the page.
//!
//! **What it does not do.** The pages contain no data and need no token, so they are served to
//! everybody. People sign in with a session, which scripts cannot read; a token stays in the browser tab in which it
//! was entered. A credential that is
//! entered into a form is sent only to the server, which never returns it.
//!
//! **Addresses.** Every page of the console is the same file, which finds out by its address what to show. All addresses
//! in it are relative to the root of the console, which each answer says relative to its own address, so the console
//! works below any path of a proxy.
//!
//! **Interruptions.** After a lost connection the console resumes from the cursor of the last
//! event, so nothing is missed. A reload loads the newest version of the pages. A form that
//! was not sent is lost with its tab. If the response to a form is lost, the change may have
//! been made; the list of instances then shows it.

mod modules;
mod site;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use self::site::Site;
use crate::encoding::Encoding;

/// Of the console and its files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// Of the explorer.
const EXPLORER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; img-src 'self' data:; font-src 'self' data:; base-uri 'self'; form-action 'none'; \
    frame-ancestors 'none'";
const EXPLORER: &str = "/explorer";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The first segments of the paths at which the console has pages.
const PLACES: [&str; 9] =
    ["", "instances", "integrations", "link", "notifications", "people", "reports", "settings", "sign-in"];
/// The first segments of the paths at which programs are answered.
const OF_PROGRAMS: [&str; 10] =
    ["assets", "auth", "export", "graphql", "healthz", "lists", "metrics", "oauth", "readyz", "session"];

/// The files, the explorer, and the page of the console at every other path.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{version}/{*path}", get(asset)).route(EXPLORER, get(explorer)).fallback(page)
}

/// The address of a file, relative to the root of the console.
pub fn address(path: &str) -> String {
    format!("{}/{path}", Site::current().folder)
}

async fn asset(Path((version, path)): Path<(String, String)>, request: HeaderMap) -> Response {
    let site = Site::last();
    // A page of another version must not get files that do not fit to its own.
    let is_current = site.folder.strip_prefix("assets/") == Some(&version);
    let Some(asset) = site.asset(&path).filter(|_| is_current) else {
        return (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response();
    };
    let (encoding, content) = asset.encoded(Encoding::preferred(&request));
    let headers = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, FOR_EVER),
        (CONTENT_SECURITY_POLICY, POLICY),
        (VARY, "accept-encoding"),
    ];
    let encoded = (encoding != Encoding::Identity).then_some([(CONTENT_ENCODING, encoding.name())]);
    match encoded {
        Some(encoded) => (headers, encoded, content).into_response(),
        None => (headers, content).into_response(),
    }
}

async fn explorer(uri: Uri, request: HeaderMap) -> Response {
    html(StatusCode::OK, &Site::current().explorer, EXPLORER_POLICY, &uri, &request)
}

/// The page of the console at any path that is not taken. The page itself says if there is nothing at the path.
async fn page(method: Method, uri: Uri, request: HeaderMap) -> Response {
    let first = uri.path().split('/').nth(1).unwrap_or_default();
    let is_place = PLACES.contains(&first);
    // Who follows a link to a page may accept anything.
    let is_wanted = accepts(&request, "text/html") || is_place && accepts(&request, "*/*");
    let is_read = matches!(method, Method::GET | Method::HEAD);
    // A path such as `//example.com/` is the address of another host, where a browser takes it for a relative one.
    let is_ambiguous = uri.path().contains("//");
    if OF_PROGRAMS.contains(&first) || is_ambiguous || !is_wanted || !is_read && uri.path() != "/" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !is_read {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let status = if is_place { StatusCode::OK } else { StatusCode::NOT_FOUND };
    html(status, &Site::current().console(uri.path(), uri.query().unwrap_or_default()), POLICY, &uri, &request)
}

/// Whether a client says that it accepts `kind`. One that says nothing accepts everything.
fn accepts(request: &HeaderMap, kind: &str) -> bool {
    let mut accepted = request.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    accepted.peek().is_none() || accepted.flat_map(|value| value.split(',')).any(|one| one.trim().starts_with(kind))
}

/// A page for the browser at `uri`.
fn html(status: StatusCode, page: &str, policy: &'static str, uri: &Uri, request: &HeaderMap) -> Response {
    let depth = uri.path().matches('/').count().saturating_sub(1);
    let root = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let text = page.replace("{{base}}", &root);
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16]));
    // Browsers ask each time, so that they get the files of one version.
    let mut response = if is_known(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(ETAG, HeaderValue::from_str(&etag).expect("base64 is allowed in a header"));
    response
}

/// Whether the browser already has this content.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    known.any(|tag| tag == etag || tag == "*")
}
