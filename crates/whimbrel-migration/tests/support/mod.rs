//! Playing recorded cases.

pub(crate) mod case;
pub(crate) mod play;
pub(crate) mod project;
