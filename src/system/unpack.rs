//! Writes the members of a tar stream below a directory handle.
