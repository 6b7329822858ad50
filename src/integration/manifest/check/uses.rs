//! Every template of a manifest, and where it is used.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::manifest::listing::Query;
use crate::manifest::template::{JsonTemplate, Template};

/// Where a template is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    BaseUrl,
    /// In the alternative of `auth` with this number.
    Auth(usize),
    /// In the header that carries the token of the alternative with this number.
    TokenHeader(usize),
    Identify,
    /// In `tenant`.
    Tenant,
    /// In requests for users.
    Listing,
    /// In requests per user.
    Detail,
}

/// One template.
#[derive(Clone, Copy)]
pub(super) struct Use<'a> {
    pub template: &'a Template,
    pub at: Location,
    pub place: Place,
}

pub(super) fn of(manifest: &Manifest) -> Vec<Use<'_>> {
    let mut uses = Uses { found: Vec::new(), place: Place::BaseUrl };
    uses.one(&manifest.base_url);
    for (number, option) in manifest.options().iter().enumerate() {
        let at = manifest.auth.referenced;
        let (place, mut found) = (Place::Auth(number), Vec::new());
        credential(&option.auth, &mut found);
        uses.found.extend(found.into_iter().map(|template| Use { template, at, place }));
        let headers = option.auth.token_rules().into_iter().flat_map(|rules| rules.header.values());
        let place = Place::TokenHeader(number);
        uses.found.extend(headers.map(|template| Use { template, at, place }));
    }
    uses.place = Place::Identify;
    if let Some(Spanned { value: call, .. }) = &manifest.identify {
        call.path.iter().chain(&call.url).for_each(|template| uses.one(template));
        uses.query(&call.query);
        uses.json(call.json.as_ref());
        call.form.iter().flat_map(BTreeMap::values).for_each(|template| uses.one(template));
    }
    uses.place = Place::Tenant;
    manifest.tenant.iter().for_each(|template| uses.one(template));
    uses.place = Place::Listing;
    manifest.headers.values().for_each(|template| uses.one(template));
    let users = &manifest.users;
    for list in &users.lists {
        uses.one(&list.path);
        uses.query(&list.query);
        uses.json(list.json.as_ref());
        if let Some(count) = &list.count {
            uses.one(&count.path);
            uses.query(&count.query);
        }
    }
    for join in users.joins.values() {
        uses.one(&join.value.path);
        uses.query(&join.value.query);
        uses.json(join.value.json.as_ref());
    }
    let lists = users.joins.values().map(|join| &join.value.pages).chain(users.lists.iter().map(|list| &list.pages));
    for (path, json, at) in lists
        .filter_map(|pages| Some((pages.value.then()?, pages.referenced)))
        .map(|(then, at)| (&then.path, &then.json, at))
    {
        uses.one(path);
        uses.found.extend(json.templates().into_iter().map(|template| Use { template, at, place: Place::Listing }));
    }
    uses.place = Place::Detail;
    for detail in users.details.values() {
        uses.one(&detail.value.path);
        uses.query(&detail.value.query);
    }
    uses.found
}

struct Uses<'a> {
    found: Vec<Use<'a>>,
    place: Place,
}

impl<'a> Uses<'a> {
    fn one(&mut self, template: &'a Spanned<Template>) {
        self.found.push(Use { template: &template.value, at: template.referenced, place: self.place });
    }

    fn query(&mut self, query: &'a Query) {
        for Spanned { value, referenced: at, .. } in query.values() {
            let place = self.place;
            self.found.extend(value.0.iter().map(|template| Use { template, at: *at, place }));
        }
    }

    fn json(&mut self, json: Option<&'a Spanned<JsonTemplate>>) {
        let Some(Spanned { value, referenced: at, .. }) = json else { return };
        let place = self.place;
        self.found.extend(value.templates().into_iter().map(|template| Use { template, at: *at, place }));
    }
}

/// The templates that obtain or carry the credential.
fn credential<'a>(auth: &'a Auth, found: &mut Vec<&'a Template>) {
    match auth {
        Auth::None => {}
        Auth::Bearer(token) => found.push(token),
        Auth::Basic(basic) => found.extend([&basic.username, &basic.password]),
        Auth::Header(named) | Auth::Query(named) => found.extend(named.values()),
        Auth::ClientCredentials(kind) => {
            found.extend([&kind.token_url, &kind.client_id]);
            found.extend(kind.client_secret.iter().chain(&kind.private_key).chain(&kind.key_id));
            found.extend(kind.scopes.iter().chain(kind.params.values()));
        }
        Auth::AuthorizationCode(kind) => {
            found.extend([&kind.authorize_url, &kind.token_url, &kind.client_id]);
            found.extend(kind.issuer.iter().chain(&kind.client_secret).chain(&kind.scopes));
            found.extend(kind.authorize_params.values().chain(kind.params.values()));
        }
        Auth::JwtBearer(kind) => {
            found.extend([&kind.token_url, &kind.private_key, &kind.issuer]);
            found.extend(kind.key_id.iter().chain(&kind.subject).chain(&kind.audience).chain(&kind.scopes));
        }
        Auth::Session(kind) => {
            let login = &kind.login;
            found.extend(login.path.iter().chain(&login.url).chain(login.headers.values()));
            found.extend(login.form.iter().flat_map(BTreeMap::values));
            found.extend(login.json.iter().flat_map(JsonTemplate::templates));
            found.extend(kind.logout.iter().map(|logout| &logout.path));
        }
    }
}
