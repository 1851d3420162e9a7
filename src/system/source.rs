//! Where bytes come from: a server or a directory.
