//! What secrets a database needs, compared with what was observed.
