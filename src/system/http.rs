//! HTTP, and the only use of the HTTP client.
