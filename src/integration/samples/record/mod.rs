//! Makes a sample from what a real application answered.
//!
//! [`recorded`] records the exchanges of a listing. [`sample`] replaces people, secrets and what else tells something
//! about the company in the answers and the settings. Then it runs the engine on them: the requests and the users in
//! the file are what the engine asks and finds with the replacements. So nothing that was sent to the application is
//! in the file, and the file is replayed without differences.
//!
//! **Guarantees.** Everything that is not known to be harmless is replaced, and the same by the same. The finished text
//! is searched for secrets, e-mail addresses and whole names of listed users; if one is found, there is no sample. What is
//! too short or too common to search for is replaced only.
//!
//! **Not guaranteed.** A short number or a common word may tell something that this module cannot know. A person should
//! read the file.
//!
//! | file | content |
//! | --- | --- |
//! | `capture` | records and plays back |
//! | `words`, `disguise` | stand-ins for words; what is replaced in an answer |
//! | `literals` | what the manifest names, and must stay |
//! | `settings` | stand-ins for settings |
//! | `write` | the file |

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::Value;

mod capture;
mod disguise;
mod literals;
mod settings;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use capture::{Exchanged, Log, recorded};

use super::format::{Case, SampleGrant};
use super::outcome::{Outcome, word};
use super::replay::run;
use crate::manifest::Manifest;
use crate::source::{Config, ErrorClass};
use crate::user::SourceUser;
use capture::{Disguised, Playback, Played};
use disguise::Disguise;
use literals::Literals;
use words::{Words, words};

/// A shorter secret cannot be told from a word, in bytes.
const MIN_SECRET: usize = 6;
/// Headers that the engine looks at on every response.
const HEADERS: [&str; 1] = ["link"];
/// Headers that the engine looks at if the response is an error.
const ERROR_HEADERS: [&str; 2] = ["retry-after", "www-authenticate"];

/// Members with a name of a person, also of somebody who is not listed.
static PERSON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(first|last|given|family|sur|nick|user|display|full|real)[_ -]?name|^(login|name|nick)$|mail").ok()
});

/// A listing that was recorded.
pub struct Listed<'a> {
    pub manifest: &'a Arc<Manifest>,
    /// The text of the manifest.
    pub text: &'a str,
    pub config: &'a Config,
    /// The access token of a consent.
    pub token: Option<&'a str>,
    /// Stand-ins that the author chose for settings, such as a private key for tests.
    pub stand_ins: &'a Config,
    pub users: &'a [SourceUser],
    /// The class of the error that ended the listing.
    pub error: Option<ErrorClass>,
}

/// A file of samples.
pub struct Sample {
    pub text: String,
    /// How it differs from the listing that was recorded, each as a sentence.
    pub differences: Vec<String>,
}

/// Makes a sample. `file` is its name in messages. The error is a sentence for a person, without secrets.
pub async fn sample(exchanges: Vec<Exchanged>, listed: &Listed<'_>, file: &str) -> Result<Sample, String> {
    let bodies: Vec<Option<Value>> = exchanges.iter().map(Exchanged::json).collect();
    let mut disguise = prepared(&exchanges, &bodies, listed);
    let complete = listed.manifest.complete(listed.config.clone());
    let complete = complete.map_err(|_| "The settings do not fit the manifest.".to_owned())?;
    let mut config = settings::disguised(&mut disguise, listed.manifest, &complete)?;
    for (key, value) in listed.stand_ins {
        config.insert(key.clone(), value.clone());
    }
    let token = listed.token.map(|token| {
        let stand_in = disguise.words.replace(token, true);
        disguise.hide(token, &stand_in);
        stand_in
    });
    let last = |number: usize| exchanges[number + 1..].iter().all(|later| !later.asks_the_same(&exchanges[number]));
    let answers: Vec<Disguised> = exchanges
        .iter()
        .zip(bodies)
        .enumerate()
        // What was repeated and then worked is not the application's answer.
        .filter(|(number, (exchanged, _))| !exchanged.may_pass() || last(*number))
        .map(|(_, (exchanged, body))| answer(&mut disguise, exchanged, body))
        .collect();

    let playback = Arc::new(Playback::new(answers));
    let outcome = run(listed.manifest, config.clone(), &case(token.clone()), playback.clone()).await;
    let played = playback.take();
    if played.made.is_empty() {
        let why = outcome.error.as_ref().map_or("Nothing was asked.", |error| error.message.as_str());
        return Err(format!(
            "The sample cannot be played: {why} If a setting needs a certain form, such as a private key, give a \
             stand-in for it."
        ));
    }
    let text = write::file(&config, token.as_deref(), &played.made, &outcome);
    search(&text, &disguise, listed)?;
    let mut differences = differences(&played, &outcome, listed);
    match super::parse(&text, file) {
        Ok(samples) => {
            let replay = samples.replay(listed.manifest).await;
            differences.extend(replay.faults.iter().map(ToString::to_string));
        }
        Err(faults) => differences.extend(faults.iter().map(ToString::to_string)),
    }
    Ok(Sample { text, differences })
}

/// Collects the words of the recording, and those of people.
fn prepared(exchanges: &[Exchanged], bodies: &[Option<Value>], listed: &Listed<'_>) -> Disguise {
    let (mut all, mut of_people, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (exchanged, body) in exchanges.iter().zip(bodies) {
        match body {
            Some(body) => collect("", body, &mut all, &mut of_people),
            None => all.extend(words(&String::from_utf8_lossy(&exchanged.body))),
        }
        let headers = exchanged.headers.values().filter_map(|value| value.to_str().ok());
        all.extend(headers.flat_map(words));
    }
    all.extend(listed.config.values().flat_map(|value| words(value)));
    for user in listed.users {
        let local = user.email.as_deref().and_then(|email| email.split('@').next());
        let texts = local.into_iter().chain(user.display_name.as_deref());
        of_people.extend(texts.flat_map(words));
        let ids = [Some(user.external_id.as_str()), user.email.as_deref(), user.display_name.as_deref()];
        names.extend(ids.into_iter().flatten().filter(|name| name.len() > 2).map(str::to_lowercase));
    }
    let literals = Literals::of(listed.text, listed.manifest);
    names.retain(|name| !literals.values.contains(name));
    let words = Words::new(literals.words.clone(), &of_people, all);
    Disguise::new(words, literals, names)
}

fn collect(name: &str, value: &Value, all: &mut HashSet<String>, of_people: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            all.extend(words(text));
            if PERSON.as_ref().is_some_and(|person| person.is_match(name)) {
                of_people.extend(words(text.split('@').next().unwrap_or_default()));
            }
        }
        Value::Number(number) => all.extend(words(&number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, all, of_people)),
        Value::Object(members) => {
            for (name, member) in members {
                all.extend(words(name));
                collect(name, member, all, of_people);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A response without people, secrets and headers that do not matter.
fn answer(disguise: &mut Disguise, exchanged: &Exchanged, body: Option<Value>) -> Disguised {
    let error = !exchanged.status.is_success();
    let mut headers = Vec::new();
    for (name, value) in &exchanged.headers {
        let name = name.as_str();
        let named = HEADERS.contains(&name) || disguise.literals.headers.contains(name);
        let of_error = error && (ERROR_HEADERS.contains(&name) || name.contains("ratelimit"));
        let kind = body.is_none() && name == "content-type";
        let cookie = name == "set-cookie";
        let Ok(value) = value.to_str() else { continue };
        if named || of_error {
            headers.push((name.to_owned(), disguise.text(value, false)));
        } else if kind {
            headers.push((name.to_owned(), value.to_owned()));
        } else if cookie {
            headers.extend(disguise.cookie(value).map(|cookie| (name.to_owned(), cookie)));
        }
    }
    let body = match body {
        Some(body) => Ok(disguise.value("$", body, false)),
        None => Err(disguise.text(&String::from_utf8_lossy(&exchanged.body), false)),
    };
    Disguised { status: exchanged.status, headers, body }
}

fn case(token: Option<String>) -> Case {
    let grant = token.map(|access_token| SampleGrant {
        access_token,
        refresh_token: None,
        expires_at: None,
        refresh_expires_at: None,
        found: BTreeMap::new(),
    });
    Case {
        name: String::new(),
        config: Config::new(),
        grant,
        check: false,
        exchanges: Vec::new(),
        users: None,
        lost: None,
        tenant: None,
        credential_expires_at: None,
        error: None,
    }
}

/// Fails if a secret, an address or a name of the recording is in the text.
fn search(text: &str, disguise: &Disguise, listed: &Listed<'_>) -> Result<(), String> {
    let lower = text.to_lowercase();
    let own = disguise.secrets.iter().map(|(secret, _)| secret).filter(|secret| {
        // The author chose it, or the form of the setting allows nothing else.
        !listed.stand_ins.values().any(|chosen| chosen.contains(secret.as_str()))
    });
    // A short one without digits may be a word.
    let telling = |secret: &&String| {
        let digit = secret.bytes().any(|byte| byte.is_ascii_digit());
        secret.len() >= MIN_SECRET && (digit || secret.len() >= 2 * MIN_SECRET)
    };
    if own.chain(&disguise.seen_secrets).filter(telling).any(|secret| text.contains(secret.as_str())) {
        return Err("A secret of the application would be left in the sample, so nothing was written.".to_owned());
    }
    let theirs = |address: &&String| !address.ends_with("@example.com");
    let of_users = listed.users.iter().filter_map(|user| user.display_name.as_ref());
    // A name of one word may be a word like any other.
    let of_users = of_users.filter(|name| name.contains(' ')).map(|name| name.to_lowercase());
    let mut of_users = of_users.filter(|name| !disguise.literals.values.contains(name));
    if disguise.addresses().filter(theirs).any(|address| lower.contains(address.as_str()))
        || of_users.any(|name| lower.contains(&name))
    {
        return Err("A person would be recognised in the sample, so nothing was written.".to_owned());
    }
    Ok(())
}

/// How the sample differs from the listing.
fn differences(played: &Played, outcome: &Outcome, listed: &Listed<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if played.is_short {
        found.push("With the replacements, more is asked than was recorded.".to_owned());
    }
    if !played.left.is_empty() {
        found.push(format!("With the replacements, {} of the answers are not asked for.", played.left.len()));
    }
    let (real, replaced) = (by_status(listed.users), by_status(outcome.users.values()));
    if real != replaced {
        found.push(format!("The application lists {real:?}, and the sample {replaced:?}."));
    }
    let got = outcome.error.as_ref().map(|error| error.class);
    if got != listed.error {
        let shown = |class: Option<ErrorClass>| class.map_or("no error".to_owned(), word);
        found.push(format!("The listing ended with {}, and the sample with {}.", shown(listed.error), shown(got)));
    }
    found
}

fn by_status<'a>(users: impl IntoIterator<Item = &'a SourceUser>) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for user in users {
        *count.entry(word(user.status)).or_default() += 1;
    }
    count
}
