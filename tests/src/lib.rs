//! Helpers of the tests that need real systems.
