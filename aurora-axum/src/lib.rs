//! Aurora on axum
