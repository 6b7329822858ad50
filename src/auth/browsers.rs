//! Browsers in which a member has signed in with a password. Each keeps a cookie that says so, which only this
//! installation can make. Attempts in such a browser are counted apart, so that strangers cannot keep its member out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::DAY_MS;
use crate::secrets::{Fields, KeyRing, OneTimeSecret, SecretKey};

/// How long a browser keeps the cookie.
pub const MAX_AGE_MS: i64 = 180 * DAY_MS;

/// The value of the cookie for a browser in which somebody with this address has signed in.
pub(super) fn remember(key: &SecretKey, email: &str) -> String {
    let browser = OneTimeSecret::new();
    let signature = key.sign_row(&fields(email, browser.text()));
    format!("{}.{}", browser.text(), URL_SAFE_NO_PAD.encode(signature))
}

/// The browser with this cookie, if somebody with this address has signed in there.
pub(super) fn known<'a>(keys: &KeyRing, email: &str, cookie: &'a str) -> Option<&'a str> {
    let (browser, signature) = cookie.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    keys.has_signed_row(&fields(email, browser), &signature).then_some(browser)
}

fn fields(email: &str, browser: &str) -> Fields {
    Fields::default().text("known_browser").text(email).text(browser)
}
