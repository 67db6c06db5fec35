//! Verifies that every enabled database's secret exists and holds usable keys.
