//! Databases behind one seam: connect, run SQL, lock, read and write the schema history.
