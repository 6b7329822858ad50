//! Sign-in with an identity provider: the whole way, and everything that is refused.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::peers::IdentityProvider;
use crate::process::{Home, Program};
use crate::support::patient_http;

mod lies;
mod on_postgres;
mod story;

/// The cookie of a session, at an address of this machine.
const SESSION: &str = "__Host-muster";
const START: &str = "/auth/oidc/start?return=/%23/integrations";

/// An installation whose members sign in at the provider. Its groups `admins` and `staff` have roles.
fn home(home: Home, provider: &IdentityProvider, secret: &str) -> Home {
    home.set("OIDC_ISSUER", &provider.origin)
        .set("OIDC_CLIENT_ID", "muster")
        .set("OIDC_CLIENT_SECRET", secret)
        .set("OIDC_ROLES", "admins=admin; staff=viewer")
}

/// A browser: it keeps cookies, which it sends to every port of this machine.
struct Browser {
    cookies: BTreeMap<String, String>,
    http: reqwest::Client,
    /// What a proxy says of its address.
    office: Option<String>,
    /// Whether a page has it load images.
    embedded: bool,
}

/// A response.
struct Shown {
    address: Url,
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Browser {
    fn new() -> Self {
        let http = patient_http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { cookies: BTreeMap::new(), http, office: None, embedded: false }
    }

    async fn get(&mut self, address: &str) -> Shown {
        let sent: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.get(address).header("cookie", sent.join("; "));
        if let Some(office) = &self.office {
            request = request.header("x-forwarded-for", office);
        }
        let (mode, dest) = if self.embedded { ("no-cors", "image") } else { ("navigate", "document") };
        let answer = request.header("sec-fetch-mode", mode).header("sec-fetch-dest", dest).send().await.unwrap();
        let (address, status, headers) = (answer.url().clone(), answer.status().as_u16(), answer.headers().clone());
        for cookie in headers.get_all("set-cookie") {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Shown { address, status, headers, body: answer.text().await.unwrap() }
    }

    /// Follows redirects until an address begins with `stop`, and returns that address without requesting it; or until
    /// there is none, and returns the page.
    async fn follow(&mut self, from: &str, stop: Option<&str>) -> Result<Shown, String> {
        let mut address = from.to_owned();
        for _ in 0..20 {
            let shown = self.get(&address).await;
            let Some(next) = shown.headers.get("location") else { return Ok(shown) };
            address = shown.address.join(next.to_str().unwrap()).unwrap().to_string();
            if stop.is_some_and(|stop| address.starts_with(stop)) {
                return Err(address);
            }
        }
        panic!("redirected for ever, last to {address}");
    }

    /// Signs in, and returns the last page.
    async fn sign_in(&mut self, program: &Program) -> Shown {
        self.follow(&format!("{}{START}", program.client.url), None).await.ok().unwrap()
    }

    /// Signs in at the provider, and returns the address of the callback without requesting it.
    async fn come_back(&mut self, program: &Program) -> String {
        let callback = format!("{}/auth/oidc/callback", program.client.url);
        self.follow(&format!("{}{START}", program.client.url), Some(&callback)).await.err().unwrap()
    }

    /// Signs out of Muster: the status, and the page of the identity provider to sign out there, if there is one.
    async fn sign_out(&mut self, program: &Program) -> (u16, Option<String>) {
        let sent: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = self.http.delete(format!("{}/session", program.client.url)).header("cookie", sent.join("; "));
        let answer = call.header("sec-fetch-site", "same-origin").send().await.unwrap();
        let status = answer.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        (status, body["signOutPage"].as_str().map(str::to_owned))
    }

    /// Whether the API accepts its session.
    async fn is_signed_in(&self, program: &Program) -> bool {
        let sent: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = self.http.post(format!("{}/graphql", program.client.url)).header("cookie", sent.join("; "));
        let call = call.header("content-type", "application/json").header("sec-fetch-site", "same-origin");
        let answer = call.body(json!({ "query": "{ __typename }" }).to_string()).send().await.unwrap();
        answer.status().is_success()
    }
}

/// How many sessions there are.
async fn sessions(home: &Home) -> String {
    home.one("SELECT CAST(count(*) AS VARCHAR(9)) FROM session").await
}
