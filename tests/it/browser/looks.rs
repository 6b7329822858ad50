//! How a page looks, and whether everybody can use it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Browser;

const SCREENSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots");
const THEME: &str = "prefers-color-scheme";
/// The narrowest screen on which the console works.
const NARROWEST: u32 = 320;

impl Browser {
    /// Writes what the window shows, and returns the path of the file.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        fs::create_dir_all(SCREENSHOTS).unwrap();
        let file = Path::new(SCREENSHOTS).join(format!("{name}.png"));
        self.session.screenshot(&file).await.unwrap();
        file
    }

    /// Writes screenshots of the page in both themes and on a phone. In all of them, axe finds nothing and nothing is
    /// beside the screen, also on the narrowest one.
    pub async fn inspect(&self, name: &str) {
        for theme in ["light", "dark"] {
            self.prefer(&[(THEME, theme), ("prefers-reduced-motion", "reduce")]).await;
            self.resize(1280, 900).await;
            self.screenshot(&format!("{name}-{theme}")).await;
            self.accessible(&format!("{name}, {theme}")).await;
            self.resize(390, 844).await;
            if theme == "light" {
                self.screenshot(&format!("{name}-390")).await;
            }
            self.accessible(&format!("{name}, {theme}, on a phone")).await;
        }
        self.resize(NARROWEST, 700).await;
        self.fits(name).await;
        self.prefer(&[]).await;
        self.resize(1280, 900).await;
    }

    /// Nothing of the page is beside the screen.
    pub async fn fits(&self, name: &str) {
        let widths = "return [document.documentElement.scrollWidth, window.innerWidth,
            [...document.querySelectorAll('body *')]
                .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
                .slice(0, 5).map((element) => element.outerHTML.slice(0, 200))]";
        let found = self.script(widths, vec![]).await;
        assert!(found[0].as_f64() <= found[1].as_f64(), "{name} is too wide: {found:#}");
    }

    /// axe finds no fault.
    async fn accessible(&self, name: &str) {
        let modules = std::env::var("TEST_NODE_MODULES").expect("tests/run sets TEST_NODE_MODULES");
        let axe = fs::read_to_string(format!("{modules}/axe-core/axe.min.js")).expect("tests/run installs axe-core");
        // Not by a script of the page, which its policy forbids.
        self.devtools("Runtime.evaluate", json!({ "expression": axe })).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                ({ violations }) => done(violations.map(({ id, help, nodes }) => [id, help,
                    ...nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`)])),
                (error) => done(String(error)))";
        let found = self.session.execute_async(script, vec![]).await.unwrap();
        assert_eq!(found.json(), &Value::Array(vec![]), "{name}: {:#}", found.json());
    }
}
