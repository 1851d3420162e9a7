//! systemd over D-Bus, and the only use of the D-Bus library.
