//! The rows of readers, in partitions: no more of them at a time than there are threads.
//!
//! Tables that are in memory are one partition of the same kind, so that there is one way through them.

use super::TimelineError;
use crate::tables::read::Counts;
use crate::tables::spool::{Split, each_part};
use crate::tables::{TableError, Tables, Timestamp};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Is told how many partitions are done, and of how many.
pub type Told<'t> = &'t (dyn Fn(usize, usize) + Sync);

/// Where readers' rows are.
#[derive(Clone, Copy)]
pub struct Readers<'t> {
    of: Of<'t>,
    told: Option<Told<'t>>,
    /// Other merchants and offers, and a time from which on nothing of a reader is there.
    past: Option<(&'t Tables, Timestamp)>,
}

#[derive(Clone, Copy)]
enum Of<'t> {
    Memory(&'t Tables),
    Disk(&'t Split, &'t Disk),
}

/// A folder for what is sorted on its way.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    n_files: AtomicUsize,
}

impl Disk {
    /// A folder that exists; files in it are made and left to whoever owns it.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), n_files: AtomicUsize::new(0) }
    }
}

impl<'t> From<&'t Tables> for Readers<'t> {
    fn from(tables: &'t Tables) -> Self {
        Self { of: Of::Memory(tables), told: None, past: None }
    }
}

impl fmt::Debug for Readers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers in {} partitions", self.n_parts())
    }
}

impl<'t> Readers<'t> {
    /// Tables that were split; what is sorted goes to `disk`, too.
    #[must_use]
    pub fn on_disk(split: &'t Split, disk: &'t Disk) -> Self {
        Self { of: Of::Disk(split, disk), told: None, past: None }
    }

    /// The same, and somebody is told how every pass goes.
    #[must_use]
    pub fn telling(self, told: Told<'t>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// The same readers before a time; `shared` is [`Readers::shared`] as it was known then, and of tables in memory [`forget`] took out the rest.
    #[must_use]
    pub(crate) fn before(self, shared: &'t Tables, at: Timestamp) -> Self {
        match self.of {
            Of::Memory(_) => Self { of: Of::Memory(shared), ..self },
            Of::Disk(..) => Self { past: Some((shared, at)), ..self },
        }
    }

    /// Merchants and offers, and what is said of the tables.
    #[must_use]
    pub fn shared(&self) -> &'t Tables {
        if let Some((shared, _)) = self.past {
            return shared;
        }
        match self.of {
            Of::Memory(tables) => tables,
            Of::Disk(split, _) => &split.shared,
        }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        match self.of {
            Of::Memory(_) => 1,
            Of::Disk(split, _) => split.n_parts,
        }
    }

    /// Where the next sorted file goes; nowhere but to memory for tables that are there.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self.of {
            Of::Memory(_) => None,
            Of::Disk(_, disk) => {
                let n = disk.n_files.fetch_add(1, Ordering::Relaxed);
                Some(disk.folder.join(format!("sorted.{n:06}")))
            }
        }
    }

    /// Works on every partition, on all cores, in any order.
    pub(super) fn each(
        &self,
        work: &(dyn Fn(usize, &Tables) -> Result<(), TimelineError> + Sync),
    ) -> Result<Counts, TimelineError> {
        let sum = Mutex::new(Counts::default());
        let of_part = |part: usize| {
            let (tables, counts) = self.load(part)?;
            sum.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
            work(part, &tables)
        };
        let n_parts = self.n_parts();
        let told = |done: u64| {
            self.told.iter().for_each(|told| told(done as usize, n_parts));
            true
        };
        each_part(n_parts, &told, &of_part)?;
        Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether loading lost more rows than whoever split the tables accepts.
    pub(super) fn check(&self, loaded: &Counts) -> Result<(), TimelineError> {
        match self.of {
            Of::Memory(_) => Ok(()),
            Of::Disk(split, _) => Ok(split.report(loaded).map(drop)?),
        }
    }

    fn load(&self, part: usize) -> Result<(Cow<'t, Tables>, Counts), TableError> {
        match self.of {
            Of::Memory(tables) => Ok((Cow::Borrowed(tables), Counts::default())),
            Of::Disk(split, _) => {
                let (mut tables, counts) = split.load(part)?;
                self.past.iter().for_each(|(_, at)| forget(&mut tables, *at));
                Ok((Cow::Owned(tables), counts))
            }
        }
    }
}

/// Takes out what happened to readers from a time on.
pub(crate) fn forget(tables: &mut Tables, from: Timestamp) {
    tables.orders.retain(|order| order.ordered_at < from);
    tables.events.retain(|event| event.at < from);
    tables.places.retain(|place| place.first_seen_at.is_none_or(|seen| seen < from));
}
