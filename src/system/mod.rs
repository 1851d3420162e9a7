//! The hands: files, HTTP, digests, archives, systemd over D-Bus, processes, clock, names. They know nothing of DC/OS.

pub mod archive;
pub mod clock;
pub mod digest;
pub mod http;
pub mod journald;
pub mod kernel;
pub mod lock;
pub mod process;
pub mod resolver;
pub mod source;
pub mod systemd;
pub mod unpack;
