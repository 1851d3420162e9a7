//! Looks, never touches: the machine, what of DC/OS stands on it, what a server offers, and how units are.

pub mod build;
pub mod dns;
pub mod host;
pub mod ip_detect;
pub mod node;
pub mod packages;
pub mod server;
pub mod services;
pub mod time;
