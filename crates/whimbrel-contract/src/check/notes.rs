//! Where findings about one database are collected.

use super::advice;
use crate::{DatabaseContract, Finding, Place, Severity, Slug};

pub(super) struct Notes<'a> {
    pub(super) contract: &'a DatabaseContract,
    pub(super) place: &'a Place,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(contract: &'a DatabaseContract, place: &'a Place) -> Self {
        Self { contract, place, findings: Vec::new() }
    }

    /// A problem with the value of a key; what to do is to correct it.
    pub(super) fn value(&mut self, slug: Slug, key: &str, message: String) {
        let next = advice::correct_value(self.place, self.contract.secret(), key);
        self.add(slug, Severity::Error, Some(key), message, next);
    }

    /// The same, when it may be no problem at all.
    pub(super) fn doubt(&mut self, slug: Slug, key: &str, message: String) {
        let next = advice::correct_value(self.place, self.contract.secret(), key);
        self.add(slug, Severity::Warning, Some(key), message, next);
    }

    pub(super) fn add(
        &mut self,
        slug: Slug,
        severity: Severity,
        key: Option<&str>,
        message: String,
        next: String,
    ) {
        self.findings.push(Finding {
            slug,
            severity,
            database: Some(self.contract.database().to_owned()),
            secret: Some(self.contract.secret().to_owned()),
            key: key.map(ToOwned::to_owned),
            message,
            next,
            causes: Vec::new(),
        });
    }
}
