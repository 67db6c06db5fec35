//! The life of a Job and its Pods as a step function; order and de-duplication of log lines.
