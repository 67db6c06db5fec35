//! Applies SQL migrations to PostgreSQL with Flyway's schema history.

fn main() {}
