//! Archives: what their first bytes say they are, decoded under a memory limit.
