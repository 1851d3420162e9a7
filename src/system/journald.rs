//! Reads the log of a unit from the journal files themselves.
