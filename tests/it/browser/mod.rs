//! The console in Chromium, driven as a person does: by what is visible.

mod chromium;
mod consent;
mod emulation;
mod findings;
mod flows;
mod hostile;
mod lists;
mod looks;
mod pages;
mod people;
mod picture;
mod report_settings;
mod reports;
mod rights;
mod scale;
mod unsaved;
mod webhooks;

use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::ScriptRet;
use thirtyfour::{By, Key, WebDriver, WebElement};
use tokio::time::{Instant, sleep};

use self::chromium::{Chromium, run};
use crate::support::{DEADLINE, Server};

const FIND: &str = include_str!("find.js");
const PAUSE: Duration = Duration::from_millis(50);
/// The browser itself asks for it, for pages that are not of the console.
const FAVICON: &str = "/favicon.ico ";

/// A browser with one window.
pub struct Browser {
    session: WebDriver,
    /// The address of the server.
    root: String,
    _chromium: Chromium,
}

/// What people call an element.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Button,
    Link,
    Heading,
    /// Also a choice, a checkbox or a switch.
    Field,
    /// A field for a text.
    Entry,
    Window,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Link => "link",
            Self::Heading => "heading",
            Self::Field => "field",
            Self::Entry => "entry",
            Self::Window => "window",
        }
    }
}

impl Browser {
    /// A window that shows nothing yet.
    pub async fn open(root: &str) -> Self {
        let (chromium, session) = Chromium::start().await;
        Self { session, root: root.to_owned(), _chromium: chromium }
    }

    /// A window in which an API token was entered, at a page of the console.
    pub async fn open_with(server: &Server, token: &str, path: &str) -> Self {
        Self::open_at(&server.url, token, path).await
    }

    /// The same at another address of the server.
    pub async fn open_at(root: &str, token: &str, path: &str) -> Self {
        let browser = Self::open(root).await;
        browser.go("/healthz").await;
        browser.script("sessionStorage.setItem('muster.token', arguments[0])", vec![json!(token)]).await;
        browser.session.browser_log().await.unwrap();
        browser.go(path).await;
        browser
    }

    pub async fn go(&self, path: &str) {
        self.session.goto(format!("{}{path}", self.root)).await.unwrap();
    }

    pub async fn reload(&self) {
        self.session.refresh().await.unwrap();
    }

    pub async fn back(&self) {
        self.session.back().await.unwrap();
    }

    /// The path, query and fragment that the address bar shows.
    pub async fn address(&self) -> String {
        let url = self.session.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.root).unwrap_or(url.as_str()).to_owned()
    }

    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        run(&self.session, script, arguments).await
    }

    /// Runs a script that calls its last argument when it is done.
    pub async fn script_async(&self, script: &str) {
        let done = self.session.execute_async(script, vec![]).await;
        done.unwrap_or_else(|error| panic!("{error}: {script}"));
    }

    /// Waits until `look` gives something. `wanted` is for the message.
    async fn wait<T>(&self, wanted: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if Instant::now() > deadline {
                let log = self.session.browser_log().await.unwrap();
                panic!("waited for {wanted}; at {} it says:\n{}\n{log:#?}", self.address().await, self.text().await);
            }
            sleep(PAUSE).await;
        }
    }

    /// The elements with a role and a name that a person can reach now.
    pub async fn all(&self, role: Role, name: &str) -> Vec<WebElement> {
        // An element that is being replaced cannot be returned, and is asked for again.
        let found = self.session.execute(FIND, vec![json!(role.name()), json!(name)]).await;
        found.and_then(ScriptRet::elements).unwrap_or_default()
    }

    /// The first element with a role and a name, once there is one.
    pub async fn find(&self, role: Role, name: &str) -> WebElement {
        self.wait(&format!("{role:?} {name:?}"), async || self.all(role, name).await.into_iter().next()).await
    }

    /// Whether something has exactly this name now.
    pub async fn has(&self, role: Role, name: &str) -> bool {
        for element in self.all(role, name).await {
            if element.text().await.is_ok_and(|text| text.trim() == name) {
                return true;
            }
        }
        false
    }

    /// Waits until nothing has the name.
    pub async fn misses(&self, role: Role, name: &str) {
        self.wait(&format!("no {role:?} {name:?}"), async || self.all(role, name).await.is_empty().then_some(())).await;
    }

    /// Waits until no element has this CSS selector.
    pub async fn misses_all(&self, selector: &str) {
        let found = "return document.querySelector(arguments[0]) !== null";
        let look = async || (self.script(found, vec![json!(selector)]).await == false).then_some(());
        self.wait(&format!("no {selector}"), look).await;
    }

    /// Presses what has the name.
    pub async fn press(&self, role: Role, name: &str) {
        // A page that is just drawn again replaces its elements.
        let pressed = async || {
            let element = self.all(role, name).await.into_iter().next()?;
            element.click().await.ok()
        };
        self.wait(&format!("{role:?} {name:?} to be pressed"), pressed).await;
    }

    /// Enters a text in place of what is in a field.
    pub async fn enter(&self, label: &str, text: &str) {
        let field = self.find(Role::Entry, label).await;
        field.send_keys(Key::Control + "a").await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses from a list.
    pub async fn choose(&self, label: &str, option: &str) {
        let field = self.find(Role::Field, label).await;
        let option = field.find(By::XPath(format!(".//option[normalize-space()='{option}']"))).await.unwrap();
        option.click().await.unwrap();
    }

    /// Enters a text in a field that finds things, and picks one whose line contains `shown`.
    pub async fn pick(&self, label: &str, text: &str, shown: &str) {
        self.enter(label, text).await;
        let path = format!("//li[@role='option'][contains(., '{shown}')]");
        // What is found for the whole text replaces what was found before.
        let picked = async || self.session.find(By::XPath(path.clone())).await.ok()?.click().await.ok();
        self.wait(shown, picked).await;
    }

    /// Goes on in the window that was opened last.
    pub async fn follow(&self) {
        let opened = async || {
            let windows = self.session.windows().await.unwrap();
            (windows.len() > 1).then(|| windows.last().cloned()).flatten()
        };
        let window = self.wait("another window", opened).await;
        self.session.switch_to_window(window).await.unwrap();
    }

    /// What is in a field.
    pub async fn value(&self, label: &str) -> String {
        self.find(Role::Entry, label).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Presses a key where the focus is.
    pub async fn key(&self, key: Key) {
        self.session.active_element().await.unwrap().send_keys(key).await.unwrap();
    }

    /// The text that a person sees, with single spaces.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText", vec![]).await;
        text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until a text is visible.
    pub async fn sees(&self, text: &str) {
        self.wait(&format!("{text:?}"), async || self.text().await.contains(text).then_some(())).await;
    }

    /// Waits until a text is not visible any more.
    pub async fn sees_no(&self, text: &str) {
        self.wait(&format!("{text:?} to go away"), async || (!self.text().await.contains(text)).then_some(())).await;
    }

    /// Waits until the address bar shows this.
    pub async fn is_at(&self, address: &str) {
        self.wait(address, async || (self.address().await == address).then_some(())).await;
    }

    /// Ends the browser. Nothing may have been written to its console: no error, no warning, and no report about the
    /// content security policy.
    pub async fn close(self) {
        self.close_after(&[]).await;
    }

    /// The same after requests that had to fail. The browser writes down each of them, and `expected` is in all of these
    /// lines.
    pub async fn close_after(self, expected: &[&str]) {
        let log = self.session.browser_log().await.unwrap();
        let is_fault = |message: &str| ![FAVICON].iter().chain(expected).any(|known| message.contains(known));
        let faults: Vec<_> = log
            .iter()
            .filter(|entry| ["SEVERE", "WARNING"].contains(&entry.level.as_str()) && is_fault(&entry.message))
            .map(|entry| &entry.message)
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
        self.session.clone().quit().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The library would wait for minutes for a driver that ends here.
        let _ = self.session.clone().leak();
    }
}
