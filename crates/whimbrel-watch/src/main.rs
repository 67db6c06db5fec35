//! Rebuilds and pushes the migrations image when SQL changes.

fn main() {}
