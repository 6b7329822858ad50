//! The location of the database, as the setting `database_url` names it.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sea_orm::DbBackend;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::parameters;

/// A file or a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    Sqlite(PathBuf),
    /// The URL; it may contain a password.
    Postgres(String),
}

const UNVERIFIED: &str = "setting database_url: without sslmode=verify-full, whoever is on the network between this server and PostgreSQL can pose as the database";

/// Whether the server is on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.starts_with('/')
        || options.get_socket().is_some()
        || host == "localhost"
        || address.is_ok_and(|ip| ip.is_loopback())
}

impl Location {
    /// Parses a database URL. `ca_file` is a file of certificate authorities for a server whose URL names none.
    ///
    /// # Errors
    /// What is wrong, without the URL itself.
    pub fn parse(url: &str, ca_file: Option<&Path>) -> Result<ParsedUrl, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" => Err("must name a file: sqlite:///var/lib/muster/muster.db".into()),
                path if path.contains('?') => Err("must be sqlite:// and a path, without parameters".into()),
                path => Ok(Location::Sqlite(path.into()).into()),
            };
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("must begin with sqlite:// or postgres://".into());
        }
        let understood = parameters::understand(url, ca_file)?;
        let options = PgConnectOptions::from_str(&understood.url)
            .map_err(|_| "is not a PostgreSQL URL: postgres://user:password@host:port/database?sslmode=verify-full")?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err("must name the database: postgres://user:password@host/muster".into());
        }
        let unverified = !is_local(&options) && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
        let warnings = understood.warnings.into_iter().chain(unverified.then(|| UNVERIFIED.to_owned())).collect();
        Ok(ParsedUrl { location: Location::Postgres(understood.url), warnings })
    }

    pub fn sqlite(file: &Path) -> Self {
        Location::Sqlite(file.to_path_buf())
    }

    pub fn backend(&self) -> DbBackend {
        match self {
            Location::Sqlite(_) => DbBackend::Sqlite,
            Location::Postgres(_) => DbBackend::Postgres,
        }
    }
}

/// A location as a URL gave it.
pub struct ParsedUrl {
    pub location: Location,
    /// Warnings for the administrator about ignored parts of the URL.
    pub warnings: Vec<String>,
}

impl From<Location> for ParsedUrl {
    fn from(location: Location) -> Self {
        Self { location, warnings: Vec::new() }
    }
}

/// Without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(file) => write!(f, "{}", file.display()),
            Location::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(at) => write!(
                    f,
                    "PostgreSQL {}:{}/{}",
                    at.get_host(),
                    at.get_port(),
                    at.get_database().unwrap_or_default()
                ),
                Err(_) => f.write_str("PostgreSQL"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_and_never_shows_its_password() {
        let parse = |url| Location::parse(url, None).map(|parsed| parsed.location);
        let file = parse("sqlite:///var/lib/muster.db").unwrap();
        assert_eq!(file, Location::Sqlite("/var/lib/muster.db".into()));
        let server = parse("postgres://muster:hush@db.example.com:5433/register?sslmode=require").unwrap();
        assert_eq!(format!("{server} {server:?}"), ["PostgreSQL db.example.com:5433/register"; 2].join(" "));
        let key = parse("postgres://u:hush@h/d?sslrootcert=/nowhere/ca.pem").unwrap_err();
        assert!(key.starts_with("sslrootcert: /nowhere/ca.pem: ") && !key.contains("hush"), "{key}");
        for bad in [
            "",
            "muster.db",
            "sqlite://",
            "sqlite://a?mode=ro",
            "mysql://hush@h/d",
            "postgres://u:hush@h",
            "postgres://u:hush@h:port/d",
            "postgres://u:hush@h/d?sslmod=require",
            "postgres://u:hush@h/d?sslmode=bogus",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(!error.contains("hush"), "{bad}: {error}");
        }
    }
}
