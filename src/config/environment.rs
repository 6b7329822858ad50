//! Environment variables: which are settings, and which Kubernetes or Docker sets.
//!
//! Kubernetes gives every container variables about all services of its namespace. Those about a service whose name
//! begins with `muster` begin as our settings do: `MUSTER_SERVICE_HOST`, `MUSTER_DB_PORT=tcp://10.0.0.5:5432`.
//! The links of Docker do the same, and add `MUSTER_NAME=/console/muster` and the variables of the other container as
//! `MUSTER_ENV_…`.

/// What the names of all settings begin with.
pub(super) const PREFIX: &str = "MUSTER_";

/// The names, without the prefix, of variables that describe a service of the cluster or a linked container.
pub(super) fn service_variables() -> Vec<String> {
    let mut found: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.to_str()?;
            let begin = name.get(..PREFIX.len())?;
            let rest = begin.eq_ignore_ascii_case(PREFIX).then(|| &name[PREFIX.len()..])?;
            let is_setting = super::names().iter().any(|setting| setting.eq_ignore_ascii_case(rest));
            (!is_setting && describes_service(rest, value.to_str()?)).then(|| rest.to_owned())
        })
        .collect();
    found.sort();
    found
}

/// True for a variable that Kubernetes sets about a service, or Docker about a link. `name` is without the prefix.
/// `PORT` and `NAME` alone count only with a value of that form, because they may also be a mistyped setting.
fn describes_service(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split('_').collect();
    (0..words.len()).any(|start| match &words[start..] {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        ["PORT"] => ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme)),
        ["PORT", number, "TCP" | "UDP" | "SCTP", rest @ ..] => {
            number.parse::<u16>().is_ok() && matches!(rest, [] | ["PROTO" | "PORT" | "ADDR"])
        }
        ["NAME"] => value.strip_prefix('/').and_then(|path| path.split_once('/')).is_some(),
        ["ENV", _, ..] => true,
        _ => false,
    })
}

/// The warning about variables that are ignored.
pub(super) fn warning(ignored: &[String]) -> Option<String> {
    if ignored.is_empty() {
        return None;
    }
    let names: Vec<String> = ignored.iter().map(|name| format!("{PREFIX}{name}")).collect();
    Some(format!(
        "these environment variables are ignored, because Kubernetes sets them for a service or Docker for a link; they \
         are not settings (in Kubernetes, enableServiceLinks: false prevents them): {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::describes_service;

    const SERVICE: &str = "tcp://10.0.0.5:8080";

    #[test]
    fn variables_of_services_are_told_from_settings() {
        for (name, value) in [
            ("PORT", SERVICE),
            ("SERVICE_HOST", "10.0.0.5"),
            ("SERVICE_PORT", "8080"),
            ("SERVICE_PORT_HTTP_API", "8080"),
            ("PORT_8080_TCP", SERVICE),
            ("PORT_8080_TCP_PROTO", "tcp"),
            ("PORT_53_UDP_ADDR", "10.0.0.5"),
            ("DB_PORT", "tcp://10.0.0.6:5432"),
            ("DB_PORT_5432_TCP_PORT", "5432"),
            ("LISTEN_SERVICE_HOST", "10.0.0.5"),
            ("NAME", "/console/muster"),
            ("SMTP_NAME", "/console/mail"),
            ("ENV_RUST_LOG", "info"),
            ("SMTP_ENV_PATH", "/bin"),
        ] {
            assert!(describes_service(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PORT", "8080"),
            ("LISTN", SERVICE),
            ("SERVICE", "x"),
            ("PORT_X_TCP", SERVICE),
            ("PORTS", SERVICE),
            ("NAME", "console"),
            ("SMTP_NAME", "/data"),
            ("ENV", "production"),
        ] {
            assert!(!describes_service(name, value), "{name}={value}");
        }
    }

    #[test]
    fn no_setting_has_a_name_that_a_cluster_may_overwrite() {
        let settings = super::super::names();
        assert!(settings.len() > 20, "{settings:?}");
        for name in settings {
            assert!(!describes_service(name, SERVICE), "{name}");
        }
    }
}
