//! A PostgreSQL server that a project owns: find or fetch, initialise, start, stop, snapshot.
