//! End-to-end tests live in `tests/`; this library is empty so that cargo has a package to build them for.
