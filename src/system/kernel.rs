//! The system calls that need unsafe code; the only file that may use it.
