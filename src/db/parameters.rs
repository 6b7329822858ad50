//! The parameters of a PostgreSQL URL.
//!
//! Providers of databases give out URLs for libpq and for clients of other languages. The driver supports only some
//! of their parameters, and ignores all others, even a mistyped `sslmode`. So the parameters are read here: supported
//! ones are applied, known but unsupported ones are removed with a warning, and unknown ones are errors.

use std::path::Path;

use url::Url;

use crate::spelling::closest;

/// The parameters that the driver follows, besides those that name a file.
const FOLLOWED: [&str; 10] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslmode",
    "statement-cache-capacity",
    "user",
];

/// The other parameters of libpq, see <https://www.postgresql.org/docs/current/libpq-connect.html>.
const OF_LIBPQ: [&str; 40] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// Parameters that hosts add for Prisma, node-postgres, JDBC and their own poolers.
const OF_OTHER_CLIENTS: [&str; 12] = [
    "connection_limit",
    "pgbouncer",
    "pool",
    "pool_mode",
    "pool_timeout",
    "prepareThreshold",
    "socket_timeout",
    "sslaccept",
    "statement_cache_size",
    "supa",
    "uselibpqcompat",
    "workaround",
];

/// A URL with only the parameters that the driver follows.
pub(super) struct Understood {
    pub(super) url: String,
    pub(super) warnings: Vec<String>,
}

/// Reads the parameters. `ca_file` is used if the URL names no certificate authorities.
pub(super) fn understand(url: &str, ca_file: Option<&Path>) -> Result<Understood, String> {
    let unchanged = || Understood { url: url.to_owned(), warnings: Vec::new() };
    // The driver says what is wrong with it.
    let Ok(mut parsed) = Url::parse(url) else { return Ok(unchanged()) };
    let mut parameters = Parameters::default();
    for (name, value) in parsed.query_pairs() {
        parameters.read(&name, &value)?;
    }
    parameters.complete(ca_file);
    if parsed.query_pairs().eq(parameters.followed.iter().map(|(name, value)| (name.into(), value.into()))) {
        return Ok(unchanged());
    }
    if parameters.followed.is_empty() {
        parsed.set_query(None);
    } else {
        parsed.query_pairs_mut().clear().extend_pairs(&parameters.followed);
    }
    Ok(Understood { url: parsed.into(), warnings: parameters.warnings() })
}

#[derive(Default)]
struct Parameters {
    followed: Vec<(String, String)>,
    ignored: Vec<String>,
    /// `ssl=true`, as several clients say `sslmode=require`.
    encrypted: bool,
    /// `sslrootcert=system`: the authorities that the system trusts, and verified host names.
    system_roots: bool,
    pooled: bool,
}

impl Parameters {
    fn read(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (name, value) {
            ("sslrootcert", "system") => self.system_roots = true,
            ("sslrootcert" | "sslcert" | "sslkey", _) => {
                // The driver does not name a file that it cannot read.
                std::fs::File::open(value).map_err(|error| format!("{name}: {value}: {error}"))?;
                self.follow(name, value);
            }
            ("ssl", "true" | "1" | "on") | ("requiressl", "1") => self.encrypted = true,
            ("schema", schema) if schema != "public" => self.follow("options[search_path]", schema),
            ("pgbouncer", "true" | "1") => self.pooled = true,
            // What happens without them.
            ("schema" | "ssl" | "requiressl" | "pgbouncer", _)
            | ("channel_binding" | "gssencmode", "prefer" | "disable")
            | ("sslnegotiation", "postgres")
            | ("target_session_attrs", "any")
            | ("load_balance_hosts", "disable") => {}
            ("client_encoding", encoding) if encoding.to_lowercase().replace('-', "") == "utf8" => {}
            (name, value) if FOLLOWED.contains(&name) || name.starts_with("options[") => self.follow(name, value),
            (name, _) if OF_LIBPQ.contains(&name) || OF_OTHER_CLIENTS.contains(&name) => {
                self.ignored.push(name.to_owned());
            }
            (name, _) => {
                let known = FOLLOWED.into_iter().chain(OF_LIBPQ).chain(["sslrootcert", "sslcert", "sslkey"]);
                let meant = closest(name, known).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
                return Err(format!("there is no parameter {name}{meant}"));
            }
        }
        Ok(())
    }

    fn follow(&mut self, name: &str, value: &str) {
        self.followed.push((name.to_owned(), value.to_owned()));
    }

    fn has(&self, name: &str) -> bool {
        self.followed.iter().any(|(followed, _)| followed == name)
    }

    fn complete(&mut self, ca_file: Option<&Path>) {
        if self.system_roots {
            // libpq accepts nothing weaker with it.
            self.followed.retain(|(name, _)| name != "sslmode");
            self.follow("sslmode", "verify-full");
        } else if self.encrypted && !self.has("sslmode") {
            self.follow("sslmode", "require");
        }
        if let Some(file) = ca_file.and_then(Path::to_str)
            && !self.has("sslrootcert")
        {
            self.follow("sslrootcert", file);
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.ignored.is_empty() {
            let names = self.ignored.join(", ");
            warnings.push(format!("setting database_url: these parameters have no effect here: {names}"));
        }
        if self.pooled {
            let reason = "a pooler that changes the server's connection between transactions loses notifications and prepared statements";
            warnings.push(format!(
                "setting database_url: use the direct address of the database, not PgBouncer's: {reason}"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(query: &str) -> (String, String) {
        let Understood { url, warnings } = understand(&format!("postgres://u:p%40@h/d{query}"), None).unwrap();
        (url.strip_prefix("postgres://u:p%40@h/d").unwrap().to_owned(), warnings.join("; "))
    }

    #[test]
    fn urls_of_hosted_databases_are_understood() {
        for (query, followed, ignored) in [
            ("?sslmode=require&channel_binding=require", "?sslmode=require", "channel_binding"),
            ("?sslmode=require&channel_binding=prefer", "?sslmode=require", ""),
            ("?sslmode=verify-full&options=-c%20geqo%3Doff", "?sslmode=verify-full&options=-c%20geqo%3Doff", ""),
            ("?options=endpoint%3Dx&sslmode=require", "?options=endpoint%3Dx&sslmode=require", ""),
            ("?connect_timeout=15&application_name=x", "?application_name=x", "connect_timeout"),
            ("?target_session_attrs=read-write", "", "target_session_attrs"),
            ("?target_session_attrs=any&client_encoding=UTF-8", "", ""),
            ("?pgbouncer=true&connection_limit=1", "", "PgBouncer"),
            ("?ssl=true", "?sslmode=require", ""),
            ("?ssl=true&sslmode=verify-full", "?sslmode=verify-full", ""),
            ("?sslrootcert=system", "?sslmode=verify-full", ""),
            ("?schema=public", "", ""),
            ("?schema=register", "?options%5Bsearch_path%5D=register", ""),
            ("?sslmode=require&supa=base-pooler.x", "?sslmode=require", "supa"),
        ] {
            let (url, warnings) = understood(query);
            assert_eq!(url, followed, "{query}");
            assert!(
                if ignored.is_empty() { warnings.is_empty() } else { warnings.contains(ignored) },
                "{query}: {warnings}"
            );
        }
    }

    #[test]
    fn a_mistyped_parameter_is_an_error_that_names_what_was_meant() {
        let error = understand("postgres://u:hush@h/d?sslmod=require", None).err().unwrap();
        assert_eq!(error, "there is no parameter sslmod; did you mean sslmode?");
    }

    #[test]
    fn the_file_of_authorities_is_used_unless_the_url_names_another() {
        let own = tempfile::NamedTempFile::new().unwrap();
        let url = format!("postgres://h/d?sslrootcert={}", own.path().display());
        assert_eq!(understand(&url, Some(Path::new("/etc/ca.pem"))).unwrap().url, url);
        let completed = understand("postgres://h/d", Some(Path::new("/etc/ca.pem"))).unwrap().url;
        assert_eq!(completed, "postgres://h/d?sslrootcert=%2Fetc%2Fca.pem");
    }
}
