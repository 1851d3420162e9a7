//! Names to addresses without the name service of the C library.
