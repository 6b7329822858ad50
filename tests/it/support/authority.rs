//! Certificates that no system trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A certificate authority of a test, and the certificates that it signed.
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.openssl(&["req", "-x509", "-new", "-subj", "/CN=Authority of a test"], "ca.key", "ca.pem");
        authority
    }

    /// A certificate for the host, with its key.
    pub fn sign(&self, host: &str) -> (PathBuf, PathBuf) {
        let alternative = format!("subjectAltName={host}");
        let request = ["req", "-new", "-subj", "/CN=database", "-addext", &alternative];
        self.openssl(&request, "server.key", "server.csr");
        fs::write(self.path("extensions"), &alternative).unwrap();
        let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        self.call(&[&sign[..], &["-days", "2", "-extfile", "extensions", "-out", "server.pem"]].concat());
        (self.path("server.pem"), self.path("server.key"))
    }

    /// A certificate that expired long ago, with its key.
    pub fn sign_expired(&self) -> (PathBuf, PathBuf) {
        let settings = "[ca]\ndefault_ca = it\n[it]\ndatabase = issued\nnew_certs_dir = .\nrand_serial = yes\n\
            default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";
        fs::write(self.path("past.cnf"), settings).unwrap();
        fs::write(self.path("issued"), "").unwrap();
        fs::write(self.path("extensions"), "subjectAltName=IP:127.0.0.1").unwrap();
        self.openssl(&["req", "-new", "-subj", "/CN=past"], "past.key", "past.csr");
        let sign = ["ca", "-batch", "-config", "past.cnf", "-in", "past.csr", "-cert", "ca.pem", "-keyfile", "ca.key"];
        let times = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
        self.call(&[&sign[..], &times, &["-extfile", "extensions", "-notext", "-out", "past.pem"]].concat());
        (self.path("past.pem"), self.path("past.key"))
    }

    /// The file with its own certificate.
    pub fn certificate(&self) -> String {
        self.path("ca.pem").display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn openssl(&self, arguments: &[&str], key: &str, out: &str) {
        let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
        self.call(&[arguments, &new_key, &["-out", out]].concat());
    }

    fn call(&self, arguments: &[&str]) {
        openssl(arguments, self.dir.path());
    }
}

/// Runs openssl in a folder.
pub fn openssl(arguments: &[&str], folder: &Path) {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output();
    let done = done.expect("the openssl program (on Debian: apt-get install openssl)");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}
