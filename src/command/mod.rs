//! One file a subcommand: the story of it in one readable function, from a request to a value.

pub mod adopt;
pub mod bundle;
pub mod drift;
pub mod explain;
mod failure;
pub mod fetch;
mod fetching;
mod health;
mod in_use;
pub mod inputs;
pub mod install;
mod node_files;
mod on_node;
mod outcome;
mod pkgpanda_swap;
pub mod preflight;
pub mod publish;
pub mod recover;
pub mod serve;
mod serve_directory;
pub mod status;
mod time_sync;
mod trust;
pub mod uninstall;
pub mod verify;
pub mod wait;
pub mod world;

pub use failure::Failure;
pub use outcome::Outcome;
pub use world::World;
