//! Tests for PostgreSQL only: several replicas, TLS, roles of processes.

mod replicas;
mod roles;
mod tls;
