//! The kernel clock, as `adjtimex(2)` tells it.
