//! One file a subcommand: the story of it in one readable function, from a request to a value.

pub mod adopt;
pub mod explain;
mod failure;
mod in_use;
pub mod install;
pub mod preflight;
pub mod recover;
pub mod status;
mod time_sync;
pub mod uninstall;
pub mod world;

pub use failure::Failure;
pub use world::World;
