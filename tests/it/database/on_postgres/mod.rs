//! What only PostgreSQL has: several replicas, and a network between them and it.

mod replicas;
mod roles;
mod tls;
