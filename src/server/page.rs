//! A page for a person who was sent here from elsewhere and cannot go on.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, context};

use crate::console;

/// Allows the console's stylesheet only.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) happened: Vec<String>,
    pub(super) steps: Vec<String>,
}

pub(super) fn page(status: StatusCode, title: &str, happened: &str, steps: &[&str]) -> Page {
    Page {
        status,
        title: title.to_owned(),
        happened: vec![happened.to_owned()],
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
    }
}

/// Nobody keeps the response, and no other site learns its address.
pub(super) fn private(mut response: Response) -> Response {
    response.headers_mut().extend([
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]);
    response
}

static PAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // The suffix of the name turns on HTML escaping.
    templates.add_template("page.html", include_str!("page.html")).expect("the embedded template is well-formed");
    templates
});

impl Page {
    /// `root` is the path from the page to the console.
    pub(super) fn respond(&self, root: &str) -> Response {
        self.respond_with_way_back(root, "")
    }

    /// `back` is the page of the console to go on from, below its root.
    pub(super) fn respond_with_way_back(&self, root: &str, back: &str) -> Response {
        let Self { status, title, happened, steps } = self;
        let style = console::address("app/style.css");
        let text = PAGE
            .get_template("page.html")
            .and_then(|template| template.render(context! { root, back, style, title, happened, steps }))
            .expect("a page has every field that the embedded template names");
        (*status, [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], text).into_response()
    }
}
