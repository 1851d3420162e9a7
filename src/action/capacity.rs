//! What may go on at once while archives are fetched.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::dcos::fetching::Fetching;
use crate::dcos::id::PackageId;
use crate::dcos::trust::Origin;
use crate::system::archive::Budget;
use crate::system::fault;
use crate::system::shared_sync::SharedSync;

/// Memory for all decoders together. The dictionary of `xz -6`, which DC/OS' own builds use, is 8
/// MiB; that of `xz -9` is 64 MiB, and then one decoder waits for the other. What asks for more
/// than all of it is refused.
const DECODER_MEMORY: u64 = 96 << 20;
/// Packages that are unpacked already and wait for the disk, besides those that are downloaded or
/// unpacked.
const SETTLING: usize = 2;

/// Downloads, decoders, memory and the disk, shared by all fetches of a run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Capacity {
    /// A permit for each download that may run at once.
    pub(crate) downloads: Arc<Semaphore>,
    /// A permit for each archive that may be unpacked at once: one a processor, which unpacking is
    /// bound by.
    pub(crate) decoders: Arc<Semaphore>,
    /// For the decoders.
    pub(crate) memory: Arc<Budget>,
    /// One sync for all packages that are ready at the same time.
    pub(crate) disk: Arc<SharedSync>,
    /// Bytes of archives that came so far and were what they should be.
    pub(crate) fetched: Arc<AtomicU64>,
    /// How packages came to the node.
    origins: Arc<Mutex<BTreeMap<PackageId, Origin>>>,
    actions: usize,
}

/// How many archives can be decompressed at once to any use: one a processor.
pub fn processors() -> usize {
    fault::workers()
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
}

impl Capacity {
    /// As the operator and this machine have it. By default one more download than decoders, so
    /// that the next archive is on its way already.
    pub fn new(fetching: &Fetching) -> Capacity {
        let alone = fault::workers();
        let decoders = processors();
        let downloads = fetching.parallel.or(alone).unwrap_or(decoders + 1).max(1);
        Capacity {
            downloads: Arc::new(Semaphore::new(downloads)),
            decoders: Arc::new(Semaphore::new(decoders)),
            memory: Budget::of(DECODER_MEMORY),
            disk: Arc::default(),
            fetched: Arc::default(),
            origins: Arc::default(),
            actions: alone.unwrap_or(downloads + SETTLING),
        }
    }

    /// Bytes of archives that came so far and were what they should be.
    pub fn fetched_bytes(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// How many archives are downloaded at once.
    pub fn at_once(&self) -> usize {
        self.downloads.available_permits()
    }

    /// Notes how a package came to the node.
    pub(crate) fn note_origin(&self, id: &PackageId, origin: Origin) {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), origin);
    }

    /// How the packages of this run came to the node.
    pub fn origins(&self) -> BTreeMap<PackageId, Origin> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many fetches are begun at once.
    pub fn actions(&self) -> usize {
        self.actions
    }
}
