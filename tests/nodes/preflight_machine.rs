//! What preflight says of a real machine: a real docker, held ports, full and foreign file systems.

mod equipped;
mod real;
