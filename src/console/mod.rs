//! The console: the web pages at `/`, for people who watch instances, connect applications and
//! fix failing ones.
//!
//! **What it promises.** The pages are part of the binary and load nothing from elsewhere.
//! They use only the public API, so a script can do the same with a token of the same role. Their
//! content security policy forbids inline scripts, foreign addresses and frames. All data
//! from the server is shown as text, never as HTML.
//!
//! **What it does not do.** The pages contain no data and need no token, so they are served to
//! everybody. People sign in with a session, which scripts cannot read; a token stays in the browser tab in which it
//! was entered. A credential that is
//! entered into a form is sent only to the server, which never returns it.
//!
//! **Interruptions.** After a lost connection the console resumes from the cursor of the last
//! event, so nothing is missed. A reload loads the newest version of the pages. A form that
//! was not sent is lost with its tab. If the response to a form is lost, the change may have
//! been made; the list of instances then shows it.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integration::user::UserField;
use ring::digest::{SHA256, digest};
use serde_json::json;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: Cow<'static, str>,
    etag: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = [
        ("/", HTML, include_str!("assets/index.html")),
        ("/assets/style.css", STYLE, include_str!("assets/style.css")),
        ("/assets/app.js", SCRIPT, include_str!("assets/app.js")),
        ("/assets/actions.js", SCRIPT, include_str!("assets/actions.js")),
        ("/assets/api.js", SCRIPT, include_str!("assets/api.js")),
        ("/assets/catalog.js", SCRIPT, include_str!("assets/catalog.js")),
        ("/assets/dom.js", SCRIPT, include_str!("assets/dom.js")),
        ("/assets/field.js", SCRIPT, include_str!("assets/field.js")),
        ("/assets/form.js", SCRIPT, include_str!("assets/form.js")),
        ("/assets/instance.js", SCRIPT, include_str!("assets/instance.js")),
        ("/assets/instances.js", SCRIPT, include_str!("assets/instances.js")),
        ("/assets/integration.js", SCRIPT, include_str!("assets/integration.js")),
        ("/assets/paged.js", SCRIPT, include_str!("assets/paged.js")),
        ("/assets/reconnect.js", SCRIPT, include_str!("assets/reconnect.js")),
        ("/assets/sign-in.js", SCRIPT, include_str!("assets/sign-in.js")),
    ];
    let files = files.map(|(path, content_type, content)| Asset::new(path, content_type, content.into()));
    files.into_iter().chain([Asset::new("/assets/user-fields.js", SCRIPT, user_fields().into())]).collect()
});

/// A script with the fields of users, made from their table.
fn user_fields() -> String {
    let fields = UserField::ALL.iter().map(|field| field.info());
    let names: Vec<_> = fields.clone().map(|field| field.api_name).collect();
    let fields: Vec<_> = fields
        .map(|field| {
            json!({
                "key": field.name.to_uppercase(),
                "name": field.api_name,
                "heading": field.heading,
                // The first sentence, without its full stop.
                "description": field.description.trim().split(". ").next().map(|text| text.trim_end_matches('.')),
                "kind": field.kind,
            })
        })
        .collect();
    let names = names.join(" ");
    format!("export const USER_FIELDS = {:#};\nexport const USER_FIELD_NAMES = \"{names}\";\n", json!(fields))
}

/// One route per asset.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(async move |headers: HeaderMap| asset.respond(&headers)))
    })
}

impl Asset {
    fn new(path: &'static str, content_type: &'static str, content: Cow<'static, str>) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, content.as_bytes())));
        Self { path, content_type, content, etag }
    }

    fn respond(&'static self, request: &HeaderMap) -> Response {
        let common = [
            (ETAG, self.etag.as_str()),
            // The browser revalidates each asset, so that all assets have the same version after an update.
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        if self.is_cached(request) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(CONTENT_TYPE, self.content_type)], &*self.content).into_response()
    }

    /// True if the browser already has this content.
    fn is_cached(&self, request: &HeaderMap) -> bool {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == self.etag || tag == "*")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{ASSETS, POLICY, SCRIPT, routes};

    /// Serves the routes and requests `path`. Returns the head and the body of the response.
    async fn get(path: &str, header: &str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, routes::<()>()).await });
        let request = format!("GET {path} HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn every_asset_is_served_with_its_type_and_the_policy() {
        for asset in ASSETS.iter() {
            let (head, body) = get(asset.path, "").await;
            assert!(head.starts_with("http/1.1 200"), "{}: {head}", asset.path);
            assert_eq!(body, asset.content);
            for header in [
                format!("content-type: {}", asset.content_type),
                format!("content-security-policy: {POLICY}").to_lowercase(),
                format!("etag: {}", asset.etag).to_lowercase(),
                "cache-control: no-cache".to_owned(),
                "x-content-type-options: nosniff".to_owned(),
                "referrer-policy: no-referrer".to_owned(),
            ] {
                assert!(head.lines().any(|line| line == header), "{header} in {head}");
            }
        }
    }

    #[tokio::test]
    async fn cached_content_is_not_sent_again() {
        let etag = &ASSETS[0].etag;
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let (head, body) = get("/", &format!("If-None-Match: {known}\r\n")).await;
            assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{known}: {head}");
        }
        let (head, _) = get("/", "If-None-Match: \"other\"\r\n").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let (head, _) = get("/assets/other.js", "").await;
        assert!(head.starts_with("http/1.1 404"), "{head}");
    }

    #[test]
    fn the_pages_load_only_existing_assets_and_nothing_inline() {
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path).collect();
        let index = &*ASSETS[0].content;
        for attribute in ["src=\"", "href=\"assets"] {
            for (at, _) in index.match_indices(attribute) {
                let value = &index[at..].split('"').nth(1).unwrap();
                assert!(served.contains(format!("/{value}").as_str()), "{value}");
            }
        }
        for inline in ["<style", "style=", "onclick", "javascript:", "<script>"] {
            assert!(!index.contains(inline), "{inline}");
        }
        for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
            for import in asset.content.lines().filter_map(|line| line.split_once(" from \"./")) {
                let file = import.1.split('"').next().unwrap();
                assert!(served.contains(format!("/assets/{file}").as_str()), "{file}");
            }
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "import("]
            {
                assert!(!asset.content.contains(forbidden), "{forbidden} in {}", asset.path);
            }
        }
    }
}
