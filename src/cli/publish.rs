//! The commands of the bootstrap server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::command::{publish, serve};

#[derive(Debug, Args)]
pub(super) struct TypedPublish {
    /// The directory that dcos_generate_config.sh wrote: genconf/serve
    directory: PathBuf,
    /// Where nodes find it [default: the URL the build was made for]
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    bootstrap_url: Option<String>,
    /// Verify what was published, every byte; change nothing
    #[arg(long, conflicts_with_all = ["recompress", "binary"], env = "DCOS_NODE_CHECK")]
    check: bool,
    /// Add archives that nodes unpack with less work
    #[arg(long, value_name = "FORMAT", env = "DCOS_NODE_RECOMPRESS")]
    recompress: Option<Recompress>,
    /// The dcos-node to stamp [default: this one]
    #[arg(long, value_name = "FILE", env = "DCOS_NODE_BINARY")]
    binary: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Recompress {
    Zstd,
}

#[derive(Debug, Args)]
pub(super) struct TypedServe {
    /// The directory to serve: genconf/serve
    directory: PathBuf,
    /// Where to listen [default: 0.0.0.0 and the port of the build's URL]
    #[arg(long, value_name = "ADDR:PORT", env = "DCOS_NODE_LISTEN")]
    listen: Option<SocketAddr>,
}

impl From<TypedPublish> for publish::Request {
    fn from(typed: TypedPublish) -> publish::Request {
        publish::Request {
            directory: typed.directory,
            bootstrap_url: typed.bootstrap_url,
            check: typed.check,
            recompress: typed.recompress.is_some(),
            binary: typed.binary,
        }
    }
}

impl From<TypedServe> for serve::Request {
    fn from(typed: TypedServe) -> serve::Request {
        serve::Request { directory: typed.directory, listen: typed.listen }
    }
}
