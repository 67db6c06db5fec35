//! The server's notices (`RAISE NOTICE`, warnings).
//!
//! The driver gives them to nobody but to `tracing`, under one target. [`NoticeTap`] is a subscriber in front of the
//! current one, for the time of one statement: it keeps these events and passes on all others. What the driver drops
//! (SQLSTATE, detail, hint of a notice) is lost here too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::session::Notice;

const TARGET: &str = "sqlx::postgres::notice";

#[derive(Clone, Default)]
pub(crate) struct NoticeSink(Arc<Mutex<Vec<Notice>>>);

impl NoticeSink {
    pub(crate) fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, notice: Notice) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }
}

pub(crate) struct NoticeTap {
    inner: Dispatch,
    sink: NoticeSink,
}

impl NoticeTap {
    /// A dispatcher that keeps notices in the sink and gives the rest to the current one.
    pub(crate) fn dispatch() -> (Dispatch, NoticeSink) {
        let sink = NoticeSink::default();
        let inner = tracing::dispatcher::get_default(Clone::clone);
        (Dispatch::new(Self { inner, sink: sink.clone() }), sink)
    }
}

impl Subscriber for NoticeTap {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { self.inner.register_callsite(metadata) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET || self.inner.enabled(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.inner.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() != TARGET {
            self.inner.event(event);
            return;
        }
        let mut message = MessageVisitor(String::new());
        event.record(&mut message);
        self.sink.push(Notice { is_warning: *event.metadata().level() == Level::WARN, message: message.0 });
    }

    fn enter(&self, span: &Id) {
        self.inner.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }
}

struct MessageVisitor(String);

impl Visit for MessageVisitor {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
