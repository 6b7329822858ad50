//! Passwords: which are accepted, and how they are hashed.
//!
//! They are hashed with Argon2id, as OWASP recommends: 19 MiB and two passes. That takes about 30 ms of a CPU, so only
//! few are hashed at once; the others wait, and not for long. A password is verified in the same time for somebody who
//! does not exist.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{Error, Refusal, Result};
use crate::secrets;

/// How many passwords are hashed at once.
const AT_ONCE: usize = 2;
/// How long a password waits for its turn.
const TURN: Duration = Duration::from_secs(5);
const SHORTEST: usize = 12;
const LONGEST: usize = 200;
/// A password of fewer different characters is a pattern.
const FEWEST_DIFFERENT: usize = 5;
/// What people choose where 12 characters are demanded.
const COMMON: [&str; 32] = [
    "123456789abc",
    "1234567890ab",
    "1234567890qwerty",
    "123456qwerty",
    "123qweasdzxc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abc123456789",
    "abcd12345678",
    "abcdefghijkl",
    "admin1234567",
    "adminadmin123",
    "administrator",
    "administrator1",
    "changeme1234",
    "changemenow1",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmein12345",
    "letmeinletmein",
    "password1234",
    "password12345",
    "passwordpassword",
    "passw0rd1234",
    "p@ssw0rd1234",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "welcome12345",
    "welcome123456",
    "zaq12wsxcde3",
];

/// Hashes passwords. Clones share the places.
#[derive(Clone)]
pub struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || hash(&password)).await?
    }

    /// Whether this is the password. Without a hash it is not, which takes the same time to find out.
    pub async fn verify(&self, password: &str, known: Option<&str>) -> Result<bool> {
        static NOBODYS: LazyLock<Result<String>> = LazyLock::new(|| hash(&secrets::hex(&secrets::random::<16>())));
        let (password, known) = (Zeroizing::new(password.to_owned()), known.map(str::to_owned));
        self.in_turn(move || {
            let nobodys = NOBODYS.as_deref().unwrap_or_default();
            let matches = Argon2::default().verify_password(password.as_bytes(), known.as_deref().unwrap_or(nobodys));
            matches.is_ok() && known.is_some()
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let Ok(Ok(place)) = tokio::time::timeout(TURN, self.0.clone().acquire_owned()).await else {
            return Err(Error::Unavailable("too many people sign in at once".into()));
        };
        let worked = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        worked.await.map_err(|error| Error::internal("hashing a password", error))
    }
}

fn hash(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Error::Internal(format!("hashing a password: {error}").into()))
}

/// Checks a new password of somebody with this address.
///
/// # Errors
/// A refusal that says what is wrong with it.
pub fn check(password: &str, email: Option<&str>, field: &str) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::invalid(message, [field]));
    let length = password.chars().count();
    if length < SHORTEST {
        return refuse(format!("The password must have at least {SHORTEST} characters."));
    }
    if length > LONGEST {
        return refuse(format!("The password may have at most {LONGEST} characters."));
    }
    let plain = password.to_lowercase();
    let mut different: Vec<char> = plain.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEWEST_DIFFERENT || COMMON.contains(&plain.as_str()) {
        return refuse("Many people use this password, so it is easy to guess. Choose another one.".into());
    }
    let own = email.and_then(|email| email.split('@').next()).filter(|own| own.len() > 3);
    if own.is_some_and(|own| plain.contains(own)) {
        return refuse("The password must not contain the address that you sign in with.".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_common_and_own_passwords_are_refused() {
        let check = |password: &str| check(password, Some("lovelace@example.com"), "password").is_ok();
        for good in ["correct horse battery", "ünïcödé password", "Tr0ub4dor&3xyz"] {
            assert!(check(good), "{good}");
        }
        let long = "abcde".repeat(41);
        for bad in ["", "elevenchars", "Password1234", "aaaaaaaaaaaa", "121212121212", "lovelace2026!", &long] {
            assert!(!check(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse batterx", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse battery", None).await.unwrap());
    }
}
