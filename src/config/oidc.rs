//! The settings of sign-in with an identity provider.

use sea_orm::{ActiveEnum, Iterable};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::Settings;
use crate::auth::Role;

/// The checked settings `oidc_…`.
#[derive(Clone)]
pub struct OidcSettings {
    /// As the identity provider writes it: it is compared letter by letter.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Zeroizing<String>>,
    pub scopes: String,
    /// The claim with the groups of a person.
    pub groups_claim: String,
    /// The first entry that applies to a person gives the role.
    pub roles: Vec<(Member, Role)>,
    /// The role of everybody else; `None`: they may not sign in.
    pub default_role: Option<Role>,
    /// What the button on the sign-in page says.
    pub label: String,
}

/// Whom an entry of `oidc_roles` applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    Group(String),
    /// Everybody with a verified e-mail address of this domain.
    Domain(String),
}

impl Settings {
    /// The identity provider, if one is set.
    ///
    /// # Errors
    /// One line that names the setting.
    pub fn oidc(&self) -> Result<Option<OidcSettings>, String> {
        let (Some(issuer), Some(client_id)) = (&self.oidc_issuer, &self.oidc_client_id) else {
            return match (&self.oidc_issuer, &self.oidc_client_id) {
                (None, None) => Ok(None),
                (None, _) => Err("setting oidc_client_id: oidc_issuer is not set; set both or neither".into()),
                (_, _) => Err("setting oidc_issuer: oidc_client_id is not set; set both or neither".into()),
            };
        };
        check_issuer(issuer).map_err(|reason| format!("setting oidc_issuer: {reason}"))?;
        if !self.oidc_scopes.split_whitespace().any(|scope| scope == "openid") {
            return Err("setting oidc_scopes: must contain openid".into());
        }
        let roles = self.oidc_roles.as_deref().unwrap_or_default();
        let roles = roles.split(';').filter(|entry| !entry.trim().is_empty()).map(entry).collect::<Result<Vec<_>, _>>();
        let roles = roles.map_err(|reason| format!("setting oidc_roles: {reason}"))?;
        let default_role = self.oidc_default_role.as_deref().map(role).transpose();
        let default_role = default_role.map_err(|reason| format!("setting oidc_default_role: {reason}"))?;
        if roles.is_empty() && default_role.is_none() {
            return Err("setting oidc_roles: nobody could sign in; set it, or oidc_default_role".into());
        }
        Ok(Some(OidcSettings {
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: self.oidc_client_secret.clone().map(Zeroizing::new),
            scopes: self.oidc_scopes.split_whitespace().collect::<Vec<_>>().join(" "),
            groups_claim: self.oidc_groups_claim.clone(),
            roles,
            default_role,
            label: self.oidc_label.clone(),
        }))
    }
}

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let url = Url::parse(issuer).map_err(|_| "must be an address, such as https://login.example.com")?;
    let on_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match url.scheme() {
        _ if !plain || url.fragment().is_some() => Err("must have no user, query or fragment"),
        "https" => Ok(()),
        "http" if on_this_machine => Ok(()),
        _ => Err("must be an https address; http is for an identity provider on this machine only"),
    }
}

/// An entry such as `admins=admin` or `@example.com=viewer`. A group may contain equals signs.
fn entry(text: &str) -> Result<(Member, Role), String> {
    let text = text.trim();
    let (who, role_name) = text.rsplit_once('=').ok_or_else(|| format!("\"{text}\" is not of the form GROUP=ROLE"))?;
    let who = who.trim();
    let member = match who.strip_prefix('@') {
        Some(domain) if domain.is_empty() || domain.contains('@') => {
            return Err(format!("\"{who}\" is not a domain such as @example.com"));
        }
        Some(domain) => Member::Domain(domain.to_ascii_lowercase()),
        None if who.is_empty() => return Err(format!("\"{text}\" names no group")),
        None => Member::Group(who.to_owned()),
    };
    Ok((member, role(role_name)?))
}

fn role(name: &str) -> Result<Role, String> {
    let name = name.trim();
    let wanted = name.to_ascii_lowercase();
    Role::iter().find(|role| role.to_value() == wanted).ok_or_else(|| {
        let known: Vec<String> = Role::values();
        format!("\"{name}\" is not a role: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(change: impl FnOnce(&mut Settings)) -> Result<Option<OidcSettings>, String> {
        let mut settings = Settings::defaults(Path::new("."));
        settings.oidc_issuer = Some("https://login.example.com".into());
        settings.oidc_client_id = Some("muster".into());
        settings.oidc_default_role = Some("viewer".into());
        change(&mut settings);
        settings.oidc()
    }

    #[test]
    fn entries_name_groups_or_domains_and_a_role() {
        let roles = "admins=admin; CN=Staff,OU=Groups,DC=example,DC=com = viewer;@Example.com=VIEWER;";
        let found = settings(|settings| settings.oidc_roles = Some(roles.into())).unwrap().unwrap().roles;
        let expected = [
            (Member::Group("admins".into()), Role::Admin),
            (Member::Group("CN=Staff,OU=Groups,DC=example,DC=com".into()), Role::Viewer),
            (Member::Domain("example.com".into()), Role::Viewer),
        ];
        assert_eq!(found, expected);
        for wrong in ["admins", "=admin", "admins=root", "@=admin", "@a@b=admin"] {
            let refused = settings(|settings| settings.oidc_roles = Some(wrong.into())).err().unwrap();
            assert!(refused.starts_with("setting oidc_roles: "), "{wrong}: {refused}");
        }
    }

    #[test]
    fn an_incomplete_or_unsafe_identity_provider_is_refused() {
        assert!(settings(|_| {}).unwrap().is_some());
        for issuer in
            ["https://login.example.com/realms/a", "http://127.0.0.1:9000", "http://[::1]/", "http://localhost"]
        {
            assert!(settings(|settings| settings.oidc_issuer = Some(issuer.into())).is_ok(), "{issuer}");
        }
        for issuer in
            ["login.example.com", "http://login.example.com", "https://a:b@c", "https://a?b", "https://a#b", "ftp://a"]
        {
            assert!(settings(|settings| settings.oidc_issuer = Some(issuer.into())).is_err(), "{issuer}");
        }
        assert!(settings(|settings| settings.oidc_client_id = None).is_err());
        assert!(settings(|settings| settings.oidc_issuer = None).is_err());
        assert!(settings(|settings| settings.oidc_scopes = "email".into()).is_err());
        assert!(settings(|settings| settings.oidc_default_role = None).err().unwrap().contains("nobody"));
    }
}
