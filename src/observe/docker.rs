//! The docker daemon, by what it answers on its socket (`GET /version` and `GET /info` of its HTTP
//! interface).

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::dcos::layout;
use crate::system::http;

/// A daemon that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its version, for example `19.03.5`.
    pub version: String,
    /// The version of its containerd, where it tells.
    pub containerd: Option<String>,
    /// Its storage driver, for example `overlay2`.
    pub driver: String,
    /// The loop device or file that devicemapper stores on; none with a device of its own or
    /// another driver.
    pub loopback: Option<String>,
    /// Where it keeps images and containers.
    pub root: String,
    /// Whether containers live on while it restarts; none before docker 1.12, which cannot do that.
    pub live_restore: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    version: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InfoAnswer {
    driver: String,
    #[serde(default)]
    driver_status: Option<Vec<(String, String)>>,
    #[serde(default)]
    docker_root_dir: Option<String>,
    #[serde(default)]
    live_restore_enabled: Option<bool>,
}

/// A daemon with thousands of containers answers in some seconds.
const LIMIT: Duration = Duration::from_secs(15);
/// Both answers have some KiB.
const LONGEST: u64 = 1 << 20;

/// Asks the daemon of this machine, by the name that the check has for its socket and not by where
/// a link in that name leads.
///
/// # Errors
/// Why it does not answer, in one line.
pub async fn look() -> Result<Engine, String> {
    ask(Path::new(layout::DOCKER_SOCKET)).await
}

/// Asks the daemon at this socket.
///
/// # Errors
/// Why it does not answer, in one line.
pub async fn ask(socket: &Path) -> Result<Engine, String> {
    if !socket.exists() {
        return Err(format!("there is no {}", socket.display()));
    }
    let both = async {
        let version =
            http::get_unix(socket, "/version", LONGEST).await.map_err(|e| e.to_string())?;
        let info = http::get_unix(socket, "/info", LONGEST).await.map_err(|e| e.to_string())?;
        engine(&version, &info)
    };
    tokio::time::timeout(LIMIT, both)
        .await
        .unwrap_or_else(|_| Err(format!("docker does not answer within {LIMIT:?}")))
}

fn engine(version: &[u8], info: &[u8]) -> Result<Engine, String> {
    let not_docker = |error: serde_json::Error| format!("what answers is not docker ({error})");
    let version: VersionAnswer = serde_json::from_slice(version).map_err(not_docker)?;
    let info: InfoAnswer = serde_json::from_slice(info).map_err(not_docker)?;
    let status = |name: &str| {
        info.driver_status
            .iter()
            .flatten()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let loopback = status("Data loop file")
        .or_else(|| status("Data file").filter(|file| file.starts_with(layout::LOOP_DEVICES)));
    Ok(Engine {
        version: version.version,
        containerd: version
            .components
            .into_iter()
            .find(|c| c.name == "containerd")
            .map(|c| c.version),
        loopback: loopback.filter(|_| info.driver == "devicemapper"),
        root: info.docker_root_dir.unwrap_or_else(|| layout::DOCKER_STATE.to_owned()),
        driver: info.driver,
        live_restore: info.live_restore_enabled,
    })
}
