//! From a place in the list to the call that reads it.

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::auth::Credential;
use super::paginate::Position;
use crate::integration::manifest::paging::Paging;
use crate::integration::manifest::{Listing, Manifest};
use crate::integration::source::Config;

/// The calls of one connection.
pub(super) struct Requests {
    listing: Url,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    tenant: Option<String>,
    pub credential: Credential,
}

impl Requests {
    /// `config` must be complete. Errors are sentences for a person.
    pub fn new(manifest: &Manifest, config: &Config) -> Result<Self, String> {
        let base = base_url(manifest, config)?;
        let tenant = match &manifest.tenant {
            Some(tenant) => Some(tenant.value.expand(config).to_lowercase()),
            None if manifest.base_url.value.keys().next().is_none() => None,
            None => base.host_str().map(|host| match base.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            }),
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &manifest.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "A header's name is wrong.")?;
            let value = HeaderValue::from_str(&value.value.expand(config))
                .map_err(|_| format!("The settings hold characters that cannot be sent in the header {name}."))?;
            headers.insert(name, value);
        }
        let credential = Credential::new(manifest, config)
            .map_err(|_| "The credential has characters in it that cannot be sent; paste it again.")?;
        let query =
            manifest.users.query.iter().flat_map(|(name, values)| {
                values.value.0.iter().map(move |value| (name.clone(), value.expand(config)))
            });
        Ok(Self {
            listing: listing_url(base, &manifest.users, config),
            query: query.collect(),
            headers,
            tenant,
            credential,
        })
    }

    /// Whose data the connection sees, as far as the settings tell.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The call that reads the page at this place. `size`: how many records to
    /// ask for, where the manifest says how to ask.
    pub fn at(&self, users: &Listing, position: &Position, size: Option<u32>) -> Result<(Url, HeaderMap), String> {
        let mut url = match position {
            Position::Url(next) => self.same_origin(&self.listing, next)?,
            Position::Start | Position::Number(_) | Position::Cursor(_) => {
                let mut url = self.listing.clone();
                let mut pairs = self.query.clone();
                if let (Some(size), Some(page_size)) = (size, &users.page_size) {
                    pairs.push((page_size.value.param.clone(), size.to_string()));
                }
                pairs.extend(place(&users.pages, position));
                if !pairs.is_empty() {
                    url.query_pairs_mut().extend_pairs(pairs);
                }
                url
            }
        };
        let mut headers = self.headers.clone();
        self.credential.sign(&mut url, &mut headers);
        Ok((url, headers))
    }

    /// An address that the application gave, if it does not leave the application;
    /// `current` is the page that it stood on.
    pub fn same_origin(&self, current: &Url, next: &str) -> Result<Url, String> {
        let mut url = current.join(next).map_err(|_| "the address of the next page is not an address")?;
        if url.origin() != self.listing.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err("the address of the next page leads to another host, so it was not called".to_owned());
        }
        url.set_fragment(None);
        self.credential.strip(&mut url);
        Ok(url)
    }
}

/// The query parameter for a place.
fn place(paging: &Paging, position: &Position) -> Option<(String, String)> {
    let (name, value) = match (paging, position) {
        (Paging::Scim, Position::Number(number)) => ("startIndex", number.to_string()),
        (Paging::Scim, Position::Cursor(cursor)) => ("cursor", cursor.clone()),
        (Paging::Cursor(paging), Position::Cursor(cursor)) => (paging.param.as_str(), cursor.clone()),
        (Paging::Page(paging), Position::Start) => (paging.param.as_str(), paging.start.to_string()),
        (Paging::Offset(paging), Position::Start) => (paging.param.as_str(), paging.start.to_string()),
        (Paging::Page(paging), Position::Number(number)) => (paging.param.as_str(), number.to_string()),
        (Paging::Offset(paging), Position::Number(number)) => (paging.param.as_str(), number.to_string()),
        _ => return None,
    };
    Some((name.to_owned(), value))
}

fn base_url(manifest: &Manifest, config: &Config) -> Result<Url, String> {
    let text = manifest.base_url.value.expand(config);
    let wrong = || "The address in the settings is not a plain https address.".to_owned();
    let url = Url::parse(&text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(wrong()) }
}

fn listing_url(mut base: Url, users: &Listing, config: &Config) -> Url {
    let kept = base.path().trim_end_matches('/').to_owned();
    base.set_path(&kept);
    if let Ok(mut segments) = base.path_segments_mut() {
        segments.pop_if_empty();
        // The template begins with a slash, so its first part is empty.
        segments.extend(users.path.value.expand_segments(config).iter().skip(1));
    }
    base
}
