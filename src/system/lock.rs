//! One holder at a time, by a lock that the kernel keeps.
