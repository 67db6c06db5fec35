//! References, digests, deterministic layers and manifests of a migrations image; what has to be pushed.
