//! Folders of SQL scripts and of secrets: scan, read, watch.
