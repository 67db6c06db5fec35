//! Follows a migration Job through every attempt and ends with its outcome.

fn main() {}
