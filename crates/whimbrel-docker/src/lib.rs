//! Loads images into a Docker engine.
