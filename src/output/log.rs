//! The diagnostic log on standard error, for `-vv` and `DCOS_NODE_LOG`.

use tracing_subscriber::EnvFilter;

/// Begins the log. `DCOS_NODE_LOG` names targets and levels as `tracing-subscriber` reads them.
pub fn start(verbose: u8, json: bool) {
    let level = match verbose {
        0 | 1 => "off",
        2 => "dcos_node=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("DCOS_NODE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that was begun before, by a test, stays.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
