//! The addresses of the console, and the headers of its answers.

use std::io::Read as _;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::support::{Server, http};

const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn send(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    // The client must not decompress.
    let client = reqwest::Client::builder().gzip(false).build().unwrap();
    let mut request = client.request(method, format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

/// The address of the asset with this name, as the page has it.
fn asset(page: &Answer, name: &str) -> String {
    let found = page.text().split('"').find(|value| value.starts_with("assets/") && value.ends_with(name));
    format!("/{}", found.unwrap())
}

#[tokio::test]
async fn every_path_of_the_console_is_its_page() {
    let server = Server::start().await;
    for (path, status, root) in [
        ("/", 200, "./"),
        ("/?instance=1", 200, "./"),
        ("/integrations", 200, "./"),
        ("/integrations/okta", 200, "../"),
        ("/integrations/okta/connect?x=/a/b", 200, "../../"),
        ("/instances/SW5zdGFuY2U6MQ", 200, "../"),
        ("/settings/members/", 200, "../../"),
        ("/sign-in", 200, "./"),
        ("/nothing", 404, "./"),
        ("/nothing/here", 404, "../"),
    ] {
        let page = send(&server, Method::GET, path, &[PAGE]).await;
        assert_eq!((page.status.as_u16(), page.header("cache-control")), (status, "no-cache"), "{path}");
        assert!(page.text().contains(&format!("<base href=\"{root}\">")), "{path}: {}", page.text());
        assert!(!page.text().contains("{{"), "{}", page.text());
        assert!(page.header("content-security-policy").ends_with("trusted-types 'none'"));
        let known = send(&server, Method::GET, path, &[PAGE, ("if-none-match", page.header("etag"))]).await;
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{path}");
        assert_eq!(send(&server, Method::HEAD, path, &[PAGE]).await.status.as_u16(), status, "{path}");
    }
    assert_eq!(send(&server, Method::GET, "/", &[]).await.status, 200, "without any header");
}

#[tokio::test]
async fn programs_get_no_page() {
    let server = Server::start().await;
    for path in ["/nothing", "/integrations"] {
        let answer = send(&server, Method::GET, path, &[("accept", "application/json")]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{path}");
        assert_eq!(send(&server, Method::POST, path, &[PAGE]).await.status, 404, "{path}");
    }
    // For a browser, these are addresses of other hosts, if it takes them for relative ones.
    for path in
        ["//evil.example/", "//evil.example", "//", "///evil.example/%2e%2e", "/integrations//okta", "//graphql"]
    {
        let answer = send(&server, Method::GET, path, &[PAGE]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{path}");
        assert!(answer.header("location").is_empty() && answer.header("content-type").is_empty(), "{path}");
    }
    for path in ["/export/x", "/assets", "/assets/x/app/main.js", "/oauth/x", "/session/x", "/auth/x"] {
        let answer = send(&server, Method::GET, path, &[PAGE]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{path}");
    }
}

#[tokio::test]
async fn files_are_kept_for_ever_and_sent_compressed() {
    let server = Server::start().await;
    let page = send(&server, Method::GET, "/settings/members", &[PAGE]).await;
    for (name, kind) in [("main.js", "text/javascript; charset=utf-8"), ("style.css", "text/css; charset=utf-8")] {
        let path = asset(&page, name);
        let plain = send(&server, Method::GET, &path, &[]).await;
        assert_eq!((plain.status.as_u16(), plain.header("content-encoding")), (200, ""), "{path}");
        assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!((plain.header("content-type"), plain.header("vary")), (kind, "accept-encoding"));

        let gzip = send(&server, Method::GET, &path, &[("accept-encoding", "gzip")]).await;
        assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "accept-encoding"));
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&*gzip.body).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain.body);

        let brotli = send(&server, Method::GET, &path, &[("accept-encoding", "gzip, deflate, br")]).await;
        assert_eq!(brotli.header("content-encoding"), "br");
        let mut text = Vec::new();
        brotli::BrotliDecompress(&mut &*brotli.body, &mut text).unwrap();
        assert_eq!(text, plain.body);
        assert!(brotli.body.len() < gzip.body.len() && gzip.body.len() < plain.body.len() / 2);
    }
    let path = asset(&page, "main.js").replace("assets/", "assets/0");
    assert_eq!(send(&server, Method::GET, &path, &[]).await.status, 404, "of another version");
}

#[tokio::test]
async fn the_explorer_has_a_policy_of_its_own() {
    let server = Server::start().await;
    let page = send(&server, Method::GET, "/explorer", &[PAGE]).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("style-src 'self' 'unsafe-inline'") && policy.contains("script-src 'self';"), "{policy}");
    let path = asset(&page, "graphiql.min.js");
    let stored = send(&server, Method::GET, &path, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(stored.header("content-encoding"), "gzip", "it is stored like that");
    let plain = http().get(format!("{}{path}", server.url)).send().await.unwrap().bytes().await.unwrap();
    assert!(plain.len() > 1_000_000 && stored.body.len() < 400_000);
}
