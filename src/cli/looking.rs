//! Commands that look and tell: status, verify, bundle.

use std::path::PathBuf;

use clap::Args;

use super::waiting::TypedWaiting;
use crate::command::{bundle, status, verify};
use crate::dcos::units::is_unit_name;

#[derive(Debug, Args)]
pub(super) struct TypedStatus {
    #[command(flatten)]
    waiting: TypedWaiting,
    /// Also ask the bootstrap server for another build, for 5 s at most
    #[arg(long, env = "DCOS_NODE_ONLINE")]
    online: bool,
}

impl TypedStatus {
    pub(super) fn meaning(&self) -> status::Request {
        status::Request { wait: self.waiting.meaning(), online: self.online }
    }
}

#[derive(Debug, Args)]
pub(super) struct TypedVerify {
    /// Compare with the published archives of the build too, and record the trust
    #[arg(long)]
    online: bool,
    /// With --online: where the build is [default: where it was installed from]
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    bootstrap_url: Option<String>,
}

impl TypedVerify {
    pub(super) fn meaning(self) -> verify::Request {
        verify::Request { online: self.online, bootstrap_url: self.bootstrap_url }
    }
}

#[derive(Debug, Args)]
pub(super) struct TypedBundle {
    /// The file to write, or a directory for it
    #[arg(value_name = "FILE", default_value = ".", hide_default_value = true)]
    file: PathBuf,
    /// Also the state and log of this unit; may be given more than once
    #[arg(long = "unit", value_name = "NAME", value_parser = unit)]
    units: Vec<String>,
}

impl TypedBundle {
    pub(super) fn meaning(self) -> bundle::Request {
        bundle::Request { file: self.file, units: self.units }
    }
}

/// The full name of a unit; as for systemctl, a name without a suffix is that of a service.
fn unit(text: &str) -> Result<String, String> {
    let service = format!("{text}.service");
    let name = if is_unit_name(text) { text.to_owned() } else { service };
    is_unit_name(&name).then_some(name).ok_or_else(|| "not the name of a unit".to_owned())
}

/// What the columns of verify mean.
pub(super) const LEGEND: &str = "\
What differs has one line, as rpm -V has it; what is as it was has none:

  S.5....T.  c /opt/mesosphere/packages/dcos-config--setup_0/etc/proxy.env
  missing      /opt/mesosphere/bin/mesos-master

  S  size             D  file, directory or link    T  written since
  M  mode             L  where a link points        P  file capabilities
  5  SHA-256          U  user                       Z  SELinux label
  ?  not readable     G  group

  missing  it should be there        c  configuration
  extra    it should not be there

Exit codes: 0 as installed, 4 as installed as far as it can be read,
6 something differs, 7 an install is unfinished, 11 not installed
";
