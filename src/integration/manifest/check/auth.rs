//! The checks on `auth`.

use std::collections::BTreeSet;

use super::Check;
use crate::manifest::auth::{Auth, AuthOption, AuthorizationCode, ClientAuth, ClientCredentials, Session};
use crate::manifest::template::{Part, Template};

impl Check<'_> {
    pub(super) fn auth(&mut self) {
        let manifest = self.manifest;
        let at = manifest.auth.referenced;
        let options = manifest.options();
        let mut seen = BTreeSet::new();
        for option in options.iter().filter(|_| options.len() > 1) {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if option.key.is_empty() || !option.key.bytes().all(letter) || option.label.trim().is_empty() {
                self.fault(at, "each of several kinds needs a key (lower-case letters, digits and _) and a label");
            } else if !seen.insert(&option.key) {
                self.fault(at, format!("there are two kinds with the key “{}”; name one otherwise", option.key));
            }
        }
        for option in options {
            self.auth_option(option);
        }
    }

    fn auth_option(&mut self, option: &AuthOption) {
        let at = self.manifest.auth.referenced;
        let secret = |key: &str| {
            let mut fields = self.manifest.config.iter().map(|field| &field.value);
            fields.any(|field| field.key == key && field.secret())
        };
        let uses_secret = self.uses.iter().any(|one| {
            let own = self.option_of(one.place).is_some_and(|other| std::ptr::eq(other, option));
            own && one.template.keys().any(secret)
        });
        let public = matches!(&option.auth, Auth::AuthorizationCode(kind) if kind.client_auth == ClientAuth::None);
        if !uses_secret && !public && !matches!(option.auth, Auth::None) {
            self.fault(at, "auth uses no setting of type secret, and credentials must be stored as such; give the token’s setting type: secret");
        }
        match &option.auth {
            Auth::None | Auth::Bearer(_) | Auth::Basic(_) | Auth::Query(_) => {}
            Auth::Header(headers) => headers.keys().for_each(|name| self.header_name(name, at)),
            Auth::ClientCredentials(kind) => {
                self.address(&kind.token_url, at, "token_url");
                self.client_credentials(kind);
            }
            Auth::AuthorizationCode(kind) => {
                self.address(&kind.authorize_url, at, "authorize_url");
                kind.issuer.iter().for_each(|issuer| self.address(issuer, at, "issuer"));
                self.address(&kind.token_url, at, "token_url");
                let fits = match kind.client_auth {
                    ClientAuth::Basic | ClientAuth::Body => kind.client_secret.is_some(),
                    ClientAuth::None => kind.client_secret.is_none() && kind.pkce,
                    ClientAuth::PrivateKeyJwt => false,
                };
                self.parameters(kind);
                if !fits {
                    self.fault(
                        at,
                        "client_auth is basic or body with a client_secret, or none with PKCE and without one",
                    );
                }
            }
            Auth::JwtBearer(kind) => {
                self.address(&kind.token_url, at, "token_url");
                if !(1..=3600).contains(&kind.lifetime_seconds) {
                    self.fault(at, "lifetime_seconds must be from 1 to 3600");
                }
            }
            Auth::Session(kind) => self.session(kind),
        }
        if let Some(rules) = option.auth.token_rules() {
            rules.header.keys().for_each(|name| self.header_name(name, at));
            let used = rules.header.values().any(|value| value.parts().contains(&Part::Token));
            if !rules.header.is_empty() && !used {
                self.fault(at, "header does not use {{token}}, so the token would not be sent");
            }
        }
    }

    /// No parameter may be one that the engine sets, and no secret may be visible in the browser.
    fn parameters(&mut self, kind: &AuthorizationCode) {
        const OWN: [&str; 10] = [
            "response_type",
            "client_id",
            "redirect_uri",
            "state",
            "code_challenge",
            "code_challenge_method",
            "grant_type",
            "code",
            "refresh_token",
            "code_verifier",
        ];
        let at = self.manifest.auth.referenced;
        for name in kind.authorize_params.keys().chain(kind.params.keys()).filter(|name| OWN.contains(&name.as_str())) {
            self.fault(at, format!("the parameter “{name}” is set by the engine"));
        }
        let seen = kind.authorize_params.values().chain([&kind.authorize_url]).chain(&kind.issuer).chain(&kind.scopes);
        let secret =
            |key: &&str| self.manifest.config.iter().any(|field| field.value.key == **key && field.value.secret());
        let shown: Vec<&str> = seen.flat_map(Template::keys).filter(secret).collect();
        for key in shown {
            self.fault(at, format!("the secret “{key}” would be seen in the browser's address"));
        }
    }

    fn client_credentials(&mut self, kind: &ClientCredentials) {
        let at = self.manifest.auth.referenced;
        let fits = match kind.client_auth {
            ClientAuth::Basic | ClientAuth::Body => kind.client_secret.is_some() && kind.private_key.is_none(),
            ClientAuth::PrivateKeyJwt => kind.private_key.is_some() && kind.client_secret.is_none(),
            ClientAuth::None => false,
        };
        if !fits {
            self.fault(at, "client_auth is basic or body with a client_secret, or private_key_jwt with a private_key");
        }
        if kind.key_id.is_some() && kind.private_key.is_none() {
            self.fault(at, "key_id belongs to a private_key; add one, or take it out");
        }
    }

    fn session(&mut self, kind: &Session) {
        let at = self.manifest.auth.referenced;
        match (&kind.login.path, &kind.login.url) {
            (Some(path), None) => self.path(path, at),
            (None, Some(url)) => self.address(url, at, "login.url"),
            _ => self.fault(at, "login needs either a path below base_url, or a url"),
        }
        if kind.login.json.is_some() == kind.login.form.is_some() {
            self.fault(at, "login needs either json or form");
        }
        kind.login.headers.keys().for_each(|name| self.header_name(name, at));
        if kind.token_at.is_some() == kind.cookie.is_some() {
            self.fault(at, "a session needs either token_at, the path of the token, or cookie, the name of the cookie");
        }
        if kind.cookie.is_some() && !kind.header.is_empty() {
            self.fault(at, "a cookie is sent as a cookie; header is for token_at only");
        }
        if let Some(logout) = &kind.logout {
            self.path(&logout.path, at);
        }
    }
}
