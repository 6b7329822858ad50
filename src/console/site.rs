//! The files of the console as they are served.
//!
//! They are a part of the binary. A debug build reads them from the disk instead, so that a change of a page needs no
//! build. Their addresses contain a hash of all of them: they change together, and browsers keep them for ever.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::{Arc, LazyLock, OnceLock};

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::GzDecoder;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use rust_embed::Embed;

use super::modules::{Files, imports, join};
use crate::encoding::Encoding;

#[derive(Embed)]
#[folder = "src/console/app"]
#[prefix = "app/"]
struct App;

#[derive(Embed)]
#[folder = "src/console/vendor"]
#[prefix = "vendor/"]
struct Vendor;

#[derive(Embed)]
#[folder = "src/console/explorer"]
#[prefix = "explorer/"]
struct Explorer;

/// The module that starts the console.
const ENTRY: &str = "app/main.js";
/// How the paths of pages begin whose modules are no part of the first one, and these modules.
const PAGES: [(&str, &str); 7] = [
    ("instances/", "app/pages/instance.js"),
    ("integrations/", "app/pages/integration.js"),
    ("notifications", "app/pages/notifications.js"),
    ("people", "app/pages/people.js"),
    ("people/", "app/pages/person.js"),
    ("reports", "app/pages/reports.js"),
    ("settings", "app/pages/settings.js"),
];
/// How the path of a page with tabs begins, and the tabs in its query that are modules of their own; empty without a tab.
const TABS: [(&str, &str, &str); 5] = [
    ("instances/", "", "app/pages/instance/summary.js"),
    ("instances/", "users", "app/pages/instance/users.js"),
    ("instances/", "history", "app/pages/instance/history.js"),
    ("instances/", "events", "app/pages/instance/events.js"),
    ("instances/", "mail", "app/pages/instance/mail.js"),
];
/// The stylesheet of all pages, and the folder of its parts.
const STYLESHEET: &str = "app/style.css";
const STYLES: &str = "app/style/";
/// The ending of the files that are stored compressed only.
const COMPRESSED: &str = ".gz";
const SCRIPT: &str = ".js";
const STYLE: &str = ".css";
const TYPES: [(&str, &str); 4] = [
    (STYLE, "text/css; charset=utf-8"),
    (SCRIPT, "text/javascript; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain; charset=utf-8"),
];

static SITE: LazyLock<Mutex<Arc<Site>>> = LazyLock::new(|| Mutex::new(Arc::new(Site::built())));

/// All files of one version.
pub(super) struct Site {
    /// The folder of the assets, without slashes at its ends.
    pub(super) folder: String,
    /// The page of the console, and that of the explorer. The address of the root is still to be written into them.
    console: String,
    pub(super) explorer: String,
    /// For each kind of page, without a tab and with each of its tabs, the elements that load its modules with the
    /// first one.
    preloads: Vec<(Kind, String)>,
    assets: BTreeMap<String, Asset>,
}

/// How the path of a page begins, and its tab.
type Kind = (&'static str, Option<&'static str>);

pub(super) struct Asset {
    pub(super) content_type: &'static str,
    content: Content,
    /// What was compressed when it was first asked for.
    brotli: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
}

enum Content {
    Plain(Bytes),
    /// Decompressed for the few clients that accept no compression.
    Gzip(Bytes),
}

impl Site {
    /// The site whose pages are served now. In a debug build it follows its files on the disk.
    pub(super) fn current() -> Arc<Self> {
        if cfg!(debug_assertions) {
            let built = Self::built();
            let mut site = SITE.lock();
            if built.folder != site.folder {
                *site = Arc::new(built);
            }
        }
        Self::last()
    }

    /// The site of the page that was served last.
    pub(super) fn last() -> Arc<Self> {
        SITE.lock().clone()
    }

    fn built() -> Self {
        Self::build().unwrap_or_else(|error| panic!("the console's files do not fit together: {error}"))
    }

    fn build() -> Result<Self, String> {
        let mut texts = Files::new();
        let mut others = BTreeMap::new();
        let all = App::iter().chain(Vendor::iter()).chain(Explorer::iter());
        for path in all {
            let file = App::get(&path).or_else(|| Vendor::get(&path)).or_else(|| Explorer::get(&path));
            let content = file.ok_or_else(|| format!("{path} is gone"))?.data;
            match std::str::from_utf8(&content) {
                Ok(text) => drop(texts.insert(path.into_owned(), text.to_owned())),
                Err(_) => drop(others.insert(path.into_owned(), content)),
            }
        }
        let style = texts.extract_if(.., |path, _| path.starts_with(STYLES)).map(|(_, text)| text).collect();
        texts.insert(STYLESHEET.to_owned(), style);
        let page = |path: &str| texts.get(path).ok_or_else(|| format!("{path} is missing")).cloned();
        let (console, explorer) = (page("app/index.html")?, page("explorer/index.html")?);
        let mut assets = BTreeMap::new();
        let mut needed = Vec::new();
        let modules: Files = texts.iter().map(|(path, text)| (path.clone(), slim(path, text))).collect();
        let joined = join(&modules, ENTRY)?;
        for (kind, module) in PAGES {
            needed.push(((kind, None), needs(&joined, &[module])?));
            for (_, tab, own) in TABS.into_iter().filter(|(page, ..)| *page == kind) {
                needed.push(((kind, Some(tab)), needs(&joined, &[module, own])?));
            }
        }
        for (path, text) in joined {
            assets.insert(path, Bytes::from(text));
        }
        for (path, text) in modules {
            // What the pages name, and what is no module.
            let is_named = [&console, &explorer].iter().any(|page| page.contains(&format!("/{path}\"")));
            if is_named || !path.ends_with(SCRIPT) && content_type(&path).is_some() {
                assets.entry(path).or_insert_with(|| Bytes::from(text));
            }
        }
        let compressed = others.into_iter().filter_map(|(path, content)| {
            let content = match content {
                Cow::Borrowed(content) => Bytes::from_static(content),
                Cow::Owned(content) => Bytes::from(content),
            };
            Some((path.strip_suffix(COMPRESSED)?.to_owned(), Content::Gzip(content)))
        });
        let assets = assets.into_iter().map(|(path, text)| (path, Content::Plain(text))).chain(compressed);
        let assets = assets.filter_map(|(path, content)| Some((content_type(&path)?, path, content)));
        let assets: BTreeMap<_, _> =
            assets.map(|(content_type, path, content)| (path, Asset::new(content_type, content))).collect();
        Ok(Self::of(&console, &explorer, &needed, assets))
    }

    fn of(console: &str, explorer: &str, needed: &[(Kind, Vec<String>)], assets: BTreeMap<String, Asset>) -> Self {
        let mut hash = Context::new(&SHA256);
        for text in [console, explorer] {
            hash.update(text.as_bytes());
        }
        for (path, asset) in &assets {
            hash.update(path.as_bytes());
            hash.update(asset.stored());
        }
        let folder = format!("assets/{}", URL_SAFE_NO_PAD.encode(&hash.finish().as_ref()[..12]));
        let written = |page: &str| page.replace("{{assets}}", &folder);
        let preload = |path: &String| format!("<link rel=\"modulepreload\" href=\"{folder}/{path}\">\n");
        let preloads = needed.iter().map(|(kind, paths)| (*kind, paths.iter().map(preload).collect())).collect();
        Self { console: written(console), explorer: written(explorer), preloads, folder, assets }
    }

    /// The page of the console for a browser at this path and query.
    pub(super) fn console(&self, path: &str, query: &str) -> String {
        let tab = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "tab").map(|(_, tab)| tab);
        let is_below = |page: &str| path.strip_prefix('/').is_some_and(|path| path.starts_with(page));
        let fits =
            |(page, own): Kind| is_below(page) && own.is_none_or(|own| tab.as_deref().unwrap_or_default() == own);
        // The longest that fits: a page may have pages below it.
        let fitting = self.preloads.iter().filter(|(kind, _)| fits(*kind));
        let fitting = fitting.max_by_key(|((page, tab), _)| (page.len(), tab.is_some()));
        self.console.replace("{{preload}}", fitting.map_or("", |(_, elements)| elements))
    }

    pub(super) fn asset(&self, path: &str) -> Option<&Asset> {
        self.assets.get(path)
    }
}

impl Asset {
    fn new(content_type: &'static str, content: Content) -> Self {
        Self { content_type, content, brotli: OnceLock::new(), gzip: OnceLock::new() }
    }

    fn stored(&self) -> &[u8] {
        match &self.content {
            Content::Plain(content) | Content::Gzip(content) => content,
        }
    }

    /// The content for a browser that prefers `encoding`, and how it is encoded.
    pub(super) fn encoded(&self, encoding: Encoding) -> (Encoding, Bytes) {
        match (&self.content, encoding) {
            (Content::Plain(content), Encoding::Identity) => (encoding, content.clone()),
            (Content::Plain(content), Encoding::Brotli) => {
                (encoding, self.brotli.get_or_init(|| encoding.encode(content).into()).clone())
            }
            (Content::Plain(content), Encoding::Gzip) => {
                (encoding, self.gzip.get_or_init(|| encoding.encode(content).into()).clone())
            }
            (Content::Gzip(content), Encoding::Identity) => {
                let mut text = Vec::new();
                GzDecoder::new(&**content).read_to_end(&mut text).expect("the file is what vendor.lock says");
                (encoding, text.into())
            }
            (Content::Gzip(content), _) => (Encoding::Gzip, content.clone()),
        }
    }
}

/// The modules that load with these, which come first, without the joined ones.
fn needs(joined: &Files, modules: &[&str]) -> Result<Vec<String>, String> {
    let mut found: Vec<_> = modules.iter().map(|module| (*module).to_owned()).collect();
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let text = joined.get(&path).ok_or_else(|| format!("{path} is not loaded later"))?;
        for imported in imports(&path, text) {
            if imported != ENTRY && !found.contains(&imported) {
                found.push(imported);
            }
        }
    }
    Ok(found)
}

fn content_type(path: &str) -> Option<&'static str> {
    TYPES.iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, content_type)| *content_type)
}

/// A script or a stylesheet of ours without its indentation, and without the comments that have lines of their own.
fn slim(path: &str, text: &str) -> String {
    if !path.ends_with(SCRIPT) && !path.ends_with(STYLE) || path.starts_with("vendor/") {
        return text.to_owned();
    }
    let mut slim = String::with_capacity(text.len());
    let mut in_comment = false;
    for line in text.lines().map(str::trim_start) {
        in_comment |= line.starts_with("/*");
        if in_comment {
            in_comment = !line.contains("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            let _ = writeln!(slim, "{line}");
        }
    }
    slim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_fit_together_and_are_small() {
        let site = Site::build().unwrap();
        let size = |path: &str| site.asset(path).unwrap().encoded(Encoding::Gzip).1.len();
        let first: usize = [ENTRY, STYLESHEET, "app/start.js", "vendor/icons.svg"].map(size).iter().sum();
        assert!(first < 70 * 1024, "the first page needs {first} bytes");
    }

    #[test]
    fn comments_and_indentation_are_not_sent() {
        let script = "// Above.\n/** Of f. */\nfunction f() {\n  /*\n   * Long.\n   */\n  return `a // b`;\n}\n";
        assert_eq!(slim("app/x.js", script), "function f() {\nreturn `a // b`;\n}\n");
    }
}
