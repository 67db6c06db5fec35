//! Connection URLs and what they hold.
//!
//! One parser serves `postgres://`, `postgresql://` (as libpq reads them) and `jdbc:postgresql://`
//! (as pgJDBC reads it). It is strict where a lenient one would take a part of a password for a
//! host: it names the special character instead.

mod credentials;
mod parse;

pub use credentials::{Credentials, DEFAULT_PORT, Parameters};
pub use parse::{ConnectionUrl, UrlProblem, parse_url};
