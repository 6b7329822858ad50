//! The first version of a manifest, as text.

use std::fmt::Write as _;

use clap::ValueEnum;
use url::form_urlencoded;

/// What is known about an application.
#[derive(Default)]
pub struct Draft {
    pub key: String,
    pub name: String,
    pub base_url: BaseUrl,
    pub signing: Signing,
    /// The name of the header or of the parameter that carries the token.
    pub auth_name: String,
    /// An address, or a path.
    pub token_url: String,
    pub pages: Pages,
    /// May have parameters, and `{org}` for a setting.
    pub path: String,
    pub next: Member,
    /// The parameter that asks for a page.
    pub param: String,
    pub total: Member,
    pub records: Member,
    pub id: Member,
    pub email: Member,
    pub display_name: Member,
    pub status: Member,
}

/// Where the API begins.
#[derive(Default)]
pub struct BaseUrl {
    /// Scheme, host and port; `None` if they are a setting.
    pub origin: Option<String>,
    /// An example for the setting.
    pub example: Option<String>,
    /// The path behind them, without a slash at the end.
    pub path: String,
}

/// A member of a response or of a record, as a JSONPath; empty if there is no such member.
#[derive(Default)]
pub struct Member(pub String);

/// How a request is signed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Signing {
    /// A token in the header Authorization: Bearer.
    #[default]
    Bearer,
    /// A user name and a password.
    Basic,
    /// A token in another header.
    Header,
    /// A token in a parameter.
    Query,
    /// OAuth 2.0 client credentials.
    Oauth,
    /// Requests are not signed.
    None,
}

/// How pages follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// The first response has all users.
    #[default]
    None,
    /// A Link header has the address of the next page.
    Link,
    /// A member of the response has the address of the next page.
    NextUrl,
    /// A member of the response has a cursor.
    Cursor,
    /// Pages are numbered.
    Page,
    /// The request says how many users to skip.
    Offset,
    /// The application speaks SCIM 2.0.
    Scim,
}

/// The setting for the beginning of the address.
const ADDRESS: &str = "address";
/// Parts of the name of a yes or no that is true for somebody who cannot sign in.
const MEANS_SUSPENDED: [&str; 9] =
    ["block", "disab", "suspend", "lock", "delet", "deactiv", "inactiv", "archiv", "banned"];

/// A setting of the form.
struct Setting {
    key: String,
    label: String,
    kind: &'static str,
    example: Option<String>,
}

impl Setting {
    fn new(key: &str, label: &str, kind: &'static str) -> Self {
        Self { key: key.to_owned(), label: label.to_owned(), kind, example: None }
    }
}

/// The settings that the answers ask for, in the order of the form.
fn settings(draft: &Draft) -> Vec<Setting> {
    let mut settings = Vec::new();
    if draft.base_url.origin.is_none() {
        let example = draft.base_url.example.clone().unwrap_or_else(|| format!("https://{}.example.com", draft.key));
        settings.push(Setting { example: Some(example), ..Setting::new(ADDRESS, "Address", "url") });
    }
    let mut keys = Vec::new();
    with_settings(&draft.path, &mut keys);
    settings.extend(keys.iter().map(|key| Setting::new(key, &label(key), "text")));
    match draft.signing {
        Signing::Bearer | Signing::Header | Signing::Query => {
            settings.push(Setting::new("token", "API token", "secret"));
        }
        Signing::Basic => {
            settings.push(Setting::new("username", "User name", "text"));
            settings.push(Setting::new("password", "Password", "secret"));
        }
        Signing::Oauth => {
            settings.push(Setting::new("client_id", "Client ID", "text"));
            settings.push(Setting::new("client_secret", "Client secret", "secret"));
        }
        Signing::None => {}
    }
    settings
}

/// The options of `connectors try` for the settings.
pub fn example_settings(draft: &Draft) -> String {
    let mut options = String::new();
    for Setting { key, kind, .. } in settings(draft) {
        let value = if kind == "secret" { format!("@{key}.txt") } else { "…".to_owned() };
        let _ = write!(options, " --config {key}={value}");
    }
    options
}

/// Writes the manifest.
pub fn write(draft: &Draft) -> String {
    let mut text = head(draft);
    text.push_str(&config(draft));
    let base = match &draft.base_url.origin {
        Some(origin) => format!("{origin}{}", draft.base_url.path),
        None => format!("{{{{config.{ADDRESS}}}}}{}", draft.base_url.path),
    };
    let _ = writeln!(text, "\nbase_url: {}", quoted(&base));
    text.push_str(&auth(draft));
    text.push('\n');
    text.push_str(&users(draft));
    text
}

fn head(draft: &Draft) -> String {
    let Draft { key, name, .. } = draft;
    let options = example_settings(draft);
    let permissions = match draft.signing {
        Signing::None => "required_permissions: []".to_owned(),
        _ => format!(
            "# To do: the scope, role or right that the credential needs, as {name} calls it. People are told it if it \
             is missing.\nrequired_permissions: [permission to list users]"
        ),
    };
    let category = "# To do: identity, communication, development, operations, productivity, design, sales, support,\n\
                    # storage, security or human-resources.\ncategory: productivity";
    format!(
        "# A first version. Next:\n\
         # 1. Correct the lines marked “To do”, by the documentation of {name}.\n\
         # 2. muster connectors check {key}.yaml\n\
         # 3. muster connectors try {key}.yaml{options}\n\
         #    Is everybody there, also those who are disabled? Is a column “?” for everybody, or a status “unknown”?\n\
         # 4. muster connectors try {key}.yaml{options} --record samples/{key}.yaml\n\
         # Every key is explained in docs/connectors.md.\n\n\
         name: {}\n{category}\ndescription: {}\n{permissions}\n\
         # To do: how a person gets the credential, step by step.\n\
         setup: |\n  In {name}, as an administrator: make a credential that may list the users.\n",
        quoted(name),
        quoted(&format!("Lists the users of {name}.")),
    )
}

fn config(draft: &Draft) -> String {
    let settings = settings(draft);
    if settings.is_empty() {
        return "\nconfig: []\n".to_owned();
    }
    let mut text = "\nconfig:\n".to_owned();
    for Setting { key, label, kind, example } in settings {
        let placeholder = example.map(|example| format!(", placeholder: {}", quoted(&example))).unwrap_or_default();
        let _ = writeln!(text, "  - {{key: {}, label: {}, type: {kind}{placeholder}}}", quoted(&key), quoted(&label));
    }
    text
}

fn auth(draft: &Draft) -> String {
    let name = quoted(&draft.auth_name);
    match draft.signing {
        Signing::Bearer => "auth:\n  bearer: \"{{config.token}}\"\n".to_owned(),
        Signing::Basic => {
            "auth:\n  basic: {username: \"{{config.username}}\", password: \"{{config.password}}\"}\n".to_owned()
        }
        Signing::Header => format!("auth:\n  header: {{{name}: \"{{{{config.token}}}}\"}}\n"),
        Signing::Query => format!("auth:\n  query: {{{name}: \"{{{{config.token}}}}\"}}\n"),
        Signing::Oauth => {
            let address = match (&draft.base_url.origin, draft.token_url.starts_with('/')) {
                (_, false) => draft.token_url.clone(),
                (Some(origin), true) => format!("{origin}{}", draft.token_url),
                (None, true) => format!("{{{{config.{ADDRESS}}}}}{}", draft.token_url),
            };
            format!(
                "auth:\n  oauth2_client_credentials:\n    token_url: {}\n    client_id: \"{{{{config.client_id}}}}\"\n    \
                 client_secret: \"{{{{config.client_secret}}}}\"\n    \
                 # To do: the scopes, and how the client signs in if it is not by HTTP Basic.\n    \
                 # scopes: [users.read]\n    # client_auth: body\n",
                quoted(&address)
            )
        }
        Signing::None => "auth: none\n".to_owned(),
    }
}

fn users(draft: &Draft) -> String {
    if draft.pages == Pages::Scim {
        let comment = "# The list of users, its pages and its members are those of SCIM 2.0 (RFC 7644).";
        return format!("{comment}\nusers: scim\n");
    }
    let mut keys = Vec::new();
    let path = with_settings(&draft.path, &mut keys);
    let (path, query) = path.split_once('?').unwrap_or((path.as_str(), ""));
    let mut text = format!("users:\n  path: {}\n", quoted(path));
    text.push_str(
        "  # To do: are disabled and invited users listed? Many applications leave them out unless a parameter asks:\n",
    );
    let pairs: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| *name != draft.param)
        .map(|(name, value)| format!("{}: {}", quoted(&name), quoted(&value)))
        .collect();
    if pairs.is_empty() {
        text.push_str("  # query: {include_disabled: \"true\"}\n");
    } else {
        let _ = writeln!(text, "  query: {{{}}}", pairs.join(", "));
    }
    text.push_str(&pages(draft));
    let records = if draft.records.0.is_empty() { "$" } else { draft.records.0.as_str() };
    let _ = writeln!(text, "  records: {}", quoted(records));
    text.push_str(&map(draft));
    text
}

fn pages(draft: &Draft) -> String {
    let (next, param) = (quoted(&draft.next.0), quoted(&draft.param));
    let total = match draft.total.0.as_str() {
        "" => String::new(),
        total => format!(", total: {}", quoted(total)),
    };
    let size = "  # To do: ask for the largest page that the documentation allows; otherwise the application decides.\n  \
                # page_size: {param: limit, count: 100}\n";
    let order = "  # To do: {by: PARAMETER} if a parameter sorts the list, default if it has a fixed order, or none.\n  \
                 order: none\n";
    match draft.pages {
        Pages::None => "  # To do: none is right only if the first response has all users, however many there are.\n  \
                        pages: none\n"
            .to_owned(),
        Pages::Link => format!("{size}  pages:\n    link_header: {{}}\n"),
        Pages::NextUrl => format!("{size}  pages:\n    next_url: {{at: {next}}}\n"),
        Pages::Cursor => format!("{size}  pages:\n    cursor: {{at: {next}, param: {param}}}\n"),
        Pages::Page => format!(
            "{size}  # To do: start: 0 if the first page has the number 0.\n  \
             pages:\n    page: {{param: {param}{total}}}\n{order}"
        ),
        Pages::Offset => format!("{size}  pages:\n    offset: {{param: {param}{total}}}\n{order}"),
        Pages::Scim => "  pages: scim\n".to_owned(),
    }
}

fn map(draft: &Draft) -> String {
    let mut text = "  map:\n".to_owned();
    let members = [("external_id", &draft.id), ("email", &draft.email), ("display_name", &draft.display_name)];
    for (field, member) in members.into_iter().filter(|(_, member)| !member.0.is_empty()) {
        let _ = writeln!(text, "    {field}: {}", quoted(&member.0));
    }
    if draft.status.0.is_empty() {
        text.push_str("    # To do: this is right only if nobody on the list is disabled or invited.\n");
        text.push_str("    status: active\n");
    } else {
        let name = draft.status.0.to_lowercase();
        let inverse = MEANS_SUSPENDED.iter().any(|part| name.contains(part));
        let (yes, no) = if inverse { ("suspended", "active") } else { ("active", "suspended") };
        let _ = write!(
            text,
            "    # To do: the values that {} sends; without regard to case. Any other value is “unknown”.\n    \
             status:\n      of: {}\n      \
             values: {{active: active, enabled: active, suspended: suspended, disabled: suspended, inactive: suspended, \
             invited: invited, pending: invited, \"true\": {yes}, \"false\": {no}}}\n",
            draft.name,
            quoted(&draft.status.0),
        );
    }
    text.push_str(
        "    # To do, if the records tell it; leave out what they do not tell:\n    \
         # is_admin: {any: \"$[?@.role == 'admin']\"}\n    \
         # kind: [{when: \"$[?@.type == 'bot']\", then: service}, human]\n    \
         # last_active_at: {from: $.last_login_at, format: iso}\n",
    );
    text
}

/// Replaces `{org}`, as documentation writes it, by a setting, and adds the setting's key.
fn with_settings(path: &str, keys: &mut Vec<String>) -> String {
    let mut written = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        let key: String = name.chars().map(plain).collect();
        let _ = write!(written, "{before}{{{{config.{key}}}}}");
        if !keys.contains(&key) {
            keys.push(key);
        }
        rest = behind;
    }
    written.push_str(rest);
    written
}

/// A label for a key: “Team id” for `team_id`.
fn label(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

/// A text as YAML takes it, in quotes if it needs them.
fn quoted(text: &str) -> String {
    let first = |letter: char| letter.is_ascii_alphabetic() || letter == '/' || letter == '$';
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/$._- ".contains(letter);
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    let url = text.starts_with("https://") && text.chars().all(|letter| plain(letter) || letter == ':');
    if url || (text.starts_with(first) && text.chars().all(plain) && !word) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
