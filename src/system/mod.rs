//! The hands: files, HTTP, digests, archives, systemd over D-Bus, processes, clock, names. They
//! know nothing of DC/OS.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the room where files are touched and programs run"
)]

pub mod account_litter;
pub mod account_lock;
pub mod append;
pub mod archive;
pub mod cancellation;
pub mod clock;
pub mod compress;
pub mod confine;
pub mod control_groups;
pub mod cores;
pub mod digest;
pub mod dns;
pub mod empty_slot;
pub mod fault;
pub mod files;
pub mod fingerprint;
pub mod holders;
pub mod http;
pub mod immutable;
pub mod journal_socket;
pub mod journald;
pub mod kernel;
pub mod label;
pub mod lock;
pub mod mount_points;
pub mod mountinfo;
pub mod mounts;
pub mod netlink;
pub mod notify;
pub mod overwrite;
pub mod packet_filter;
pub mod process;
pub mod program;
pub mod reach;
pub mod resolver;
pub mod root;
pub mod routes;
pub mod seal;
pub mod server;
pub mod shared_sync;
pub mod signals;
pub mod slot;
pub mod sockets;
pub mod source;
pub mod startup;
pub mod strangers;
pub mod survey;
pub mod sysctl;
pub mod systemd;
pub mod tarball;
pub mod unpack;
pub mod words;
