//! Runs the build's ip-detect as DC/OS runs it, without installing anything.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dcos::layout;
use crate::system::process::{self, Output};

/// What the script did.
#[derive(Clone, Debug)]
pub struct IpDetect {
    /// Each run: the address, or why there is none.
    pub runs: Vec<Result<Ipv4Addr, String>>,
    /// The longest run.
    pub slowest: Duration,
    /// Something was written to standard error, which dcos-checks takes for a failure.
    pub complaint: Option<String>,
}

/// DC/OS gives up after this time (`dcos-go`, nodeutil).
const LIMIT: Duration = Duration::from_secs(10);
/// The answer must not change from one caller to the next.
const RUNS: usize = 3;

/// Runs the script three times.
pub async fn run(script: &[u8]) -> IpDetect {
    let environment = [("PATH".into(), layout::PROGRAM_PATH.into()), ("LD_LIBRARY_PATH".into(), layout::LIBRARIES.into())];
    let mut detected = IpDetect { runs: Vec::new(), slowest: Duration::ZERO, complaint: None };
    for _ in 0..RUNS {
        match process::run_script(script, &environment, LIMIT).await {
            Ok(output) => {
                detected.slowest = detected.slowest.max(output.duration);
                let complaint = String::from_utf8_lossy(&output.stderr.bytes).trim().to_owned();
                detected.complaint = detected.complaint.or((!complaint.is_empty()).then_some(complaint));
                detected.runs.push(address(&output));
            }
            Err(error) => {
                detected.runs.push(Err(error_chain(&error)));
                break;
            }
        }
    }
    detected
}

/// Exactly one strict IPv4 address on standard output, one newline at most after it, and status 0.
fn address(output: &Output) -> Result<Ipv4Addr, String> {
    match (output.status, output.signal) {
        (Some(0), _) => {}
        (Some(status), _) => return Err(format!("exited with status {status}")),
        (None, signal) => return Err(format!("was ended by signal {}", signal.unwrap_or_default())),
    }
    let text = String::from_utf8(output.stdout.bytes.clone()).map_err(|_| "printed what is not UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    line.parse().map_err(|_| format!("printed {:?}, which is not exactly one IPv4 address", line.chars().take(60).collect::<String>()))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
