//! Flyway-compatible SQL migrations as pure functions: files and history in, plan or findings out.
