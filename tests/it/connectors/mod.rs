//! Manifests against applications that run: vendors' own documents, and a real authorization server.

use std::fs;

use tempfile::TempDir;

use crate::peers::{Oidc, server};
use crate::support::Server;

mod client_credentials;
mod consent;
mod vendors;

/// A server whose catalog has the application beside the authorization server, as `peer`.
struct Peered {
    server: Server,
    oidc: Oidc,
    _manifests: TempDir,
}

impl Peered {
    async fn start() -> Peered {
        let oidc = Oidc::start();
        let manifests = tempfile::tempdir().unwrap();
        fs::write(manifests.path().join("peer.yaml"), include_str!("peer.yaml")).unwrap();
        let dir = manifests.path().to_owned();
        let server = server().settings(|settings| settings.connectors_dir = Some(dir)).start().await;
        Peered { server, oidc, _manifests: manifests }
    }

    /// Settings that begin with which kind of authentication it is, and where the application is.
    fn config<'a>(&'a self, authentication: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("authentication", authentication), ("origin", &*self.oidc.origin)], more].concat()
    }
}
