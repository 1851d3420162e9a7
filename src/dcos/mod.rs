//! The words of DC/OS: what its files mean and where they lie. Pure; nothing here reads, writes or asks the time.

pub mod accounts;
pub mod active_set;
pub mod build;
pub mod data;
pub mod detected;
pub mod environment;
pub mod event;
pub mod exit;
pub mod farm;
pub mod id;
pub mod index;
pub mod installer_script;
pub mod journal;
pub mod layout;
pub mod leftovers;
pub mod moment;
pub mod package;
pub mod pkginfo;
pub mod ports;
pub mod preview;
pub mod receipt;
pub mod resolv_conf;
pub mod role;
pub mod settings;
pub mod units;
