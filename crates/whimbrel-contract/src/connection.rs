//! Connection URLs and what they hold.
//!
//! One parser serves `postgres://`, `postgresql://` (as libpq reads them), `jdbc:postgresql://` (as pgJDBC reads it), and
//! the URLs of MySQL, MariaDB and SQLite. It is strict where a lenient one would take a part of a password for a
//! host: it names the special character instead.

mod credentials;
mod parse;

pub use credentials::{Credentials, DEFAULT_PORT, Parameters};
pub use parse::{ConnectionUrl, UrlProblem, parse_url};
