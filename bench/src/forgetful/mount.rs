//! The disk as a file system (FUSE), so that another process can keep a store on it.
//!
//! Every write reaches the disk when it is made, but for those into mapped memory, which the kernel
//! hands on when it likes: SQLite's shared memory, which no cut needs to keep. A mount lasts from
//! one start to one cut, so that the kernel remembers nothing that the disk has forgotten.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::{Change, Disk, File, FileId};

/// How long the kernel may remember names and lengths: nobody but itself changes them.
const MEMORY: Duration = Duration::from_secs(3600);

/// The number of the first file; the folder has 1.
const FIRST_FILE: u64 = 2;

/// What the disk says is free.
const FREE_BYTES: u64 = 1 << 30;

/// What it counts in.
const BLOCK_BYTES: u64 = 4096;

/// A disk that other processes can use.
#[derive(Debug)]
pub struct Mounted {
    disk: Arc<Mutex<Disk>>,
    session: BackgroundSession,
}

impl Mounted {
    /// Mounts the disk over an empty folder.
    ///
    /// # Errors
    /// Without `/dev/fuse`, or without the right to mount and without `fusermount3`.
    pub fn new(disk: Disk, folder: &Path) -> Result<Self> {
        let disk = Arc::new(Mutex::new(disk));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("forgetful".into()), MountOption::NoAtime];
        let session = fuser::spawn_mount(Served(disk.clone()), folder, &config)
            .context("cannot mount a FUSE file system: is there /dev/fuse, and fuse3 installed?")?;
        Ok(Self { disk, session })
    }

    /// The disk as it is now.
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a file has changes that a cut would take; for whoever waits for such a moment.
    pub fn watch(&self) -> impl Fn(&OsStr) -> bool + Send + 'static {
        let disk = self.disk.clone();
        move |name| disk.lock().unwrap_or_else(PoisonError::into_inner).is_unsynced(name)
    }

    /// Ends the mount, and gives the disk back. Nothing is synced by it.
    ///
    /// # Errors
    /// When a process still has a file open, or somebody still watches.
    pub fn unmount(self) -> Result<Disk> {
        self.session.umount_and_join().context("cannot unmount")?;
        let disk = Arc::into_inner(self.disk).context("the disk is still watched")?;
        Ok(disk.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Served(Arc<Mutex<Disk>>);

impl Served {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(id: FileId) -> INodeNo {
    INodeNo(FIRST_FILE + id.0 as u64)
}

fn id(number: INodeNo) -> Result<FileId, Errno> {
    let place = number.0.checked_sub(FIRST_FILE).ok_or(Errno::EISDIR)?;
    usize::try_from(place).map(FileId).map_err(|_| Errno::ENOENT)
}

fn attributes(
    request: &Request,
    number: INodeNo,
    kind: FileType,
    size: usize,
    mode: u16,
) -> FileAttr {
    let epoch = SystemTime::UNIX_EPOCH;
    let size = size as u64;
    FileAttr {
        ino: number,
        size,
        blocks: size.div_ceil(512),
        atime: epoch,
        mtime: epoch,
        ctime: epoch,
        crtime: epoch,
        kind,
        perm: mode,
        nlink: 1,
        uid: request.uid(),
        gid: request.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn look(disk: &Disk, request: &Request, number: INodeNo) -> Result<FileAttr, Errno> {
    if number == INodeNo::ROOT {
        return Ok(attributes(request, number, FileType::Directory, 0, 0o700));
    }
    let file = disk.file(id(number)?).ok_or(Errno::ENOENT)?;
    Ok(attributes(request, number, FileType::RegularFile, file.bytes.len(), file.mode))
}

fn place(offset: u64) -> Result<usize, Errno> {
    usize::try_from(offset).map_err(|_| Errno::EFBIG)
}

fn mode(bits: u32) -> u16 {
    u16::try_from(bits & 0o7777).unwrap_or(0o600)
}

impl Filesystem for Served {
    fn lookup(&self, request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = self.disk();
        let found = disk.find(name).ok_or(Errno::ENOENT);
        match found.and_then(|id| look(&disk, request, number(id))) {
            Ok(found) => reply.entry(&MEMORY, &found, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(
        &self,
        request: &Request,
        number: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match look(&self.disk(), request, number) {
            Ok(found) => reply.attr(&MEMORY, &found),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        bits: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        let set = with_file(&mut disk, number, |file| {
            if let Some(bits) = bits {
                file.mode = mode(bits);
            }
            if let Some(size) = size {
                file.change(Change::Resize(place(size)?));
            }
            Ok(())
        });
        match set.and_then(|()| look(&disk, request, number)) {
            Ok(found) => reply.attr(&MEMORY, &found),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        request: &Request,
        _parent: INodeNo,
        name: &OsStr,
        bits: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = self.disk();
        let id = disk.create(name, mode(bits & !umask));
        match look(&disk, request, number(id)) {
            Ok(found) => reply.created(
                &MEMORY,
                &found,
                Generation(0),
                FileHandle(0),
                FopenFlags::FOPEN_KEEP_CACHE,
            ),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _request: &Request, _number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let disk = self.disk();
        let found = id(number).and_then(|id| {
            let (at, length) = (place(offset)?, place(size.into())?);
            Ok(disk.file(id).ok_or(Errno::ENOENT)?.read(at, length))
        });
        match found {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = with_file(&mut self.disk(), number, |file| {
            file.change(Change::Write { at: place(offset)?, bytes: data.to_vec() });
            u32::try_from(data.len()).map_err(|_| Errno::EINVAL)
        });
        match written {
            Ok(length) => reply.written(length),
            Err(error) => reply.error(error),
        }
    }

    /// Closing a file promises nothing.
    fn flush(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let synced = with_file(&mut self.disk(), number, |file| {
            file.sync();
            Ok(())
        });
        match synced {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.disk().sync_names();
        reply.ok();
    }

    fn unlink(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if self.disk().remove(name) { reply.ok() } else { reply.error(Errno::ENOENT) }
    }

    fn rename(
        &self,
        _request: &Request,
        _parent: INodeNo,
        name: &OsStr,
        _new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if self.disk().rename(name, new_name) { reply.ok() } else { reply.error(Errno::ENOENT) }
    }

    /// There is always room.
    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        let (blocks, files, name_bytes) = (FREE_BYTES / BLOCK_BYTES, 1 << 20, 255);
        let block_bytes = u32::try_from(BLOCK_BYTES).unwrap_or(u32::MAX);
        reply.statfs(blocks, blocks, blocks, files, files, block_bytes, name_bytes, block_bytes);
    }

    fn readdir(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let disk = self.disk();
        for (next, (name, id)) in (1..).zip(disk.names()) {
            if next > offset && reply.add(number(id), next, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}

fn with_file<T>(
    disk: &mut Disk,
    number: INodeNo,
    act: impl FnOnce(&mut File) -> Result<T, Errno>,
) -> Result<T, Errno> {
    act(disk.file_mut(id(number)?).ok_or(Errno::ENOENT)?)
}
