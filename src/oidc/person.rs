//! Who a person is, from the claims of the identity provider. Pure functions.

use serde_json::Value;

use super::token::Claims;
use crate::auth::Role;
use crate::auth::members::readable_name;
use crate::config::{Member, OidcSettings};

/// Its accounts can have had an address of any company when it was verified. Only of its own domain, and of the one in
/// the claim `hd`, it knows whose an address is now.
const GOOGLE: &str = "https://accounts.google.com";
const GOOGLE_MAIL: &str = "gmail.com";
/// The longest e-mail address (RFC 5321), in characters.
const MAX_EMAIL: usize = 254;
/// What looks like the sign of an address.
const AT_SIGNS: [char; 3] = ['@', '\u{FE6B}', '\u{FF20}'];
/// The name of somebody of whom nothing else can be shown.
const NAMELESS: &str = "Somebody without a name";

/// Whether the userinfo endpoint may know what the ID token leaves out.
pub(super) fn is_incomplete(claims: &Claims, settings: &OidcSettings) -> bool {
    let by = |wanted: fn(&Member) -> bool| settings.roles.iter().any(|(member, _)| wanted(member));
    !claims.contains_key("email") || (by(is_group) && !claims.contains_key(&settings.groups_claim))
}

fn is_group(member: &Member) -> bool {
    matches!(member, Member::Group(_))
}

/// Adds claims of the userinfo endpoint that the ID token does not have. An address and whether it was verified are
/// taken from the same place.
pub(super) fn complete(claims: &mut Claims, mut further: Claims) {
    if claims.contains_key("email") {
        further.remove("email_verified");
    } else {
        claims.remove("email_verified");
    }
    for (name, value) in further {
        claims.entry(name).or_insert(value);
    }
}

/// The address, if the identity provider has verified it.
pub(super) fn verified_email<'a>(claims: &'a Claims, issuer: &str) -> Option<&'a str> {
    let email = claims.get("email")?.as_str()?;
    let (user, domain) = email.rsplit_once('@')?;
    let plausible = !user.is_empty() && !domain.is_empty() && email.len() <= MAX_EMAIL;
    let plausible = plausible && !email.chars().any(|c| c.is_control() || c.is_whitespace());
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let owner = claims.get("hd").and_then(Value::as_str).unwrap_or(GOOGLE_MAIL);
    let owned = issuer != GOOGLE || owner.eq_ignore_ascii_case(domain);
    (plausible && verified && owned).then_some(email)
}

/// The name to show. It cannot be taken for an address, unless the identity provider has verified that one: histories
/// show the address of who has one, and the name of who has none.
pub(super) fn name(claims: &Claims, issuer: &str) -> String {
    let said = ["name", "preferred_username"].iter().filter_map(|claim| claims.get(*claim)?.as_str());
    let texts = said.chain(verified_email(claims, issuer)).chain(claims.get("sub").and_then(Value::as_str));
    let mut readable = texts.map(readable_name);
    let verified = verified_email(claims, issuer);
    let is_good = |name: &String| !name.is_empty() && (verified == Some(name) || !name.contains(AT_SIGNS));
    readable.find(is_good).unwrap_or_else(|| NAMELESS.to_owned())
}

/// The role of the first entry that applies; `None` if the person may not sign in.
pub(super) fn role(claims: &Claims, settings: &OidcSettings) -> Option<Role> {
    let groups: Vec<&str> = match claims.get(&settings.groups_claim) {
        Some(Value::String(group)) => vec![group],
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let domain = verified_email(claims, &settings.issuer).and_then(|email| email.rsplit_once('@'));
    let domain = domain.map(|(_, domain)| domain.to_ascii_lowercase());
    let applies = |member: &Member| match member {
        Member::Group(name) => groups.contains(&name.as_str()),
        Member::Domain(name) => domain.as_deref() == Some(name.as_str()),
    };
    let entry = settings.roles.iter().find(|(member, _)| applies(member));
    entry.map(|(_, role)| *role).or(settings.default_role)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(issuer: &str) -> OidcSettings {
        let roles =
            vec![(Member::Group("admins".into()), Role::Admin), (Member::Domain("example.com".into()), Role::Viewer)];
        OidcSettings {
            issuer: issuer.into(),
            client_id: "muster".into(),
            client_secret: None,
            scopes: "openid".into(),
            groups_claim: "groups".into(),
            roles,
            default_role: None,
            label: String::new(),
        }
    }

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_first_entry_that_applies_gives_the_role() {
        let settings = settings("https://login.example.com");
        let of = |value| role(&claims(value), &settings);
        assert_eq!(of(json!({ "groups": ["staff", "admins"] })), Some(Role::Admin));
        assert_eq!(of(json!({ "groups": "admins" })), Some(Role::Admin));
        assert_eq!(of(json!({ "groups": [["admins"], 1], "name": "admins" })), None);
        assert_eq!(of(json!({ "groups": ["Admins", "admins "] })), None);
        assert_eq!(of(json!({ "email": "a@Example.com", "email_verified": true })), Some(Role::Viewer));
        for unverified in [json!(false), json!("true"), json!(1), json!(null)] {
            assert_eq!(of(json!({ "email": "a@example.com", "email_verified": unverified })), None);
        }
        for email in ["a@example.com.evil", "a@evil@x", "@example.com", "a b@example.com", "example.com"] {
            assert_eq!(of(json!({ "email": email, "email_verified": true })), None, "{email}");
        }
    }

    #[test]
    fn of_google_only_addresses_count_whose_owner_it_knows() {
        let settings = settings(GOOGLE);
        let mut of = json!({ "email": "a@example.com", "email_verified": true });
        assert_eq!(role(&claims(of.clone()), &settings), None);
        of["hd"] = json!("example.com");
        assert_eq!(role(&claims(of), &settings), Some(Role::Viewer));
        let own = claims(json!({ "email": "a@gmail.com", "email_verified": true }));
        assert_eq!(verified_email(&own, GOOGLE), Some("a@gmail.com"));
    }

    #[test]
    fn userinfo_completes_a_token_and_changes_nothing_in_it() {
        let complete = |mut token: Claims, further| {
            complete(&mut token, claims(further));
            Value::Object(token)
        };
        let token = claims(json!({ "sub": "1", "email": "a@example.com" }));
        let further = json!({ "sub": "2", "email": "b@example.com", "email_verified": true, "groups": ["x"] });
        assert_eq!(complete(token, further), json!({ "sub": "1", "email": "a@example.com", "groups": ["x"] }));
        let token = claims(json!({ "sub": "1", "email_verified": true }));
        assert_eq!(
            complete(token, json!({ "email": "b@example.com" })),
            json!({ "sub": "1", "email": "b@example.com" })
        );
    }

    #[test]
    fn a_name_can_always_be_shown() {
        let name = |of| name(&claims(of), "https://login.example.com");
        assert_eq!(name(json!({ "sub": "1", "name": " Ada\n\u{1b}\u{202e}[1m " })), "Ada [1m");
        assert_eq!(name(json!({ "sub": "1", "name": "\t", "email": "a@b", "email_verified": true })), "a@b");
        assert_eq!(name(json!({ "sub": "1", "name": ["x"] })), "1");
    }

    #[test]
    fn nobody_is_called_by_an_address_that_was_not_verified() {
        let name = |of| name(&claims(of), "https://login.example.com");
        assert_eq!(name(json!({ "sub": "u3", "email": "bob@example.com", "email_verified": false })), "u3");
        assert_eq!(name(json!({ "sub": "w2", "name": "ada@example.com" })), "w2");
        assert_eq!(name(json!({ "sub": "w2", "name": "ada\u{FF20}example.com", "preferred_username": "Ada" })), "Ada");
        assert_eq!(name(json!({ "sub": "bob@example.com", "preferred_username": "eve@example.com" })), NAMELESS);
        let other = json!({ "sub": "1", "name": "bob@b", "email": "a@b", "email_verified": true });
        assert_eq!(name(other), "a@b", "not that of somebody else either");
    }
}
