//! Manifests against running applications: fakes that conform to the vendors' API descriptions, and a real
//! authorization server.

use std::fs;

use tempfile::TempDir;

use crate::peers::{Oidc, server};
use crate::support::Server;

mod client_credentials;
mod consent;
mod documents;
mod invitations;
mod proxy;
mod vendors;

/// A server whose catalog has, as `peer`, the application of the authorization server.
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

    /// A configuration with this kind of authentication, the application's origin, and further settings.
    fn config<'a>(&'a self, authentication: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("authentication", authentication), ("origin", &*self.oidc.origin)], more].concat()
    }
}
