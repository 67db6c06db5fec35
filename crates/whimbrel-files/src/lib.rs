//! Folders as the outside world: SQL scripts to scan and to watch, an OCI image layout to write, secrets to read.
//!
//! What is read is bounded by allow-lists: a folder of scripts yields `*.sql` and `*.sql.conf` and nothing else,
//! whatever lies beside them. Nothing here decides what a script or a secret is worth.
#![warn(missing_docs)]

pub mod layout;
pub mod scan;
pub mod secrets;
pub mod watch;
