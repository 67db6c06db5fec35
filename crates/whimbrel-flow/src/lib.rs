//! The verbs that join the tools: up, down, dev, deploy, doctor; no terminal.
