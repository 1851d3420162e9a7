//! What preflight says about a machine: each check on recorded facts, good and bad, and some on a
//! real node.

mod docker;
mod facts;
mod installation;
mod names;
mod ports;
mod recorded;
mod storage;
