//! The options of `fetch`.

use clap::Args;

use super::fetching::TypedFetching;
use crate::command::fetch::Request;

#[derive(Debug, Args)]
pub(super) struct TypedFetch {
    /// Where the build is: http(s)://..., file:///... or a directory
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    bootstrap_url: Option<String>,
    #[command(flatten)]
    fetching: TypedFetching,
    /// Refuse a build that has no digests
    #[arg(long, env = "DCOS_NODE_REQUIRE_DIGESTS")]
    require_digests: bool,
    /// Show what would be done, do nothing
    #[arg(long, env = "DCOS_NODE_DRY_RUN")]
    dry_run: bool,
}

impl TypedFetch {
    pub(super) fn meaning(self) -> Request {
        Request {
            bootstrap_url: self.bootstrap_url,
            fetching: self.fetching.meaning(),
            require_digests: self.require_digests,
            dry_run: self.dry_run,
        }
    }
}
