//! What all binaries share: options, printer, settings with their origin, errors and exit codes, tracing, signals.
