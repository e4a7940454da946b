"""Writing a drive into a folder: never outside it, never through a symlink, never half a file."""

import ctypes
import errno
import hashlib
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable
from typing import Self

from pearbox_edge.errors import InputError, StorageError
from pearbox_edge.wire import Buffer

from .blob import Blob, copy_bytes, equal_bytes
from .paths import UnsafePath, link_target, safe_parts
from .scan import printable

OPEN_FOLDERS = 64  # TUNING: folder handles kept; enough for a tree walked in order

_LIBC = ctypes.CDLL(None, use_errno=True)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Destination:
    """A folder that a drive is written into.

    Every folder on the way is opened by its parent's handle without following links, so a link that
    is there, or that the drive itself made, is never written through. A file appears under its
    name only when it is whole: it is written under a temporary name first, the same one at every
    try, so that a killed process leaves nothing behind once the next one has finished.
    """

    def __init__(self, root: str) -> None:
        """Make the folder if it is missing. InputError if it is something else."""
        self.root = root
        try:
            os.makedirs(root, exist_ok=True)
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{printable(root)} is not a folder: choose another DEST") from error
        except OSError as error:
            raise _storage_error(root, error) from error
        self._folders: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release all handles."""
        for handle in self._folders.values():
            os.close(handle)
        self._folders.clear()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def begin(self, path: str, *, executable: bool) -> "NewFile":
        """Begin the file at `path` (`/a/b`), which appears when it is finished.

        Raises UnsafePath if the path must not be written, StorageError if the disk refuses.
        """
        folder, name = self._enter(path)
        return NewFile(path, os.dup(folder), name, executable)

    def write_blob(self, path: str, blob: Blob | None, *, executable: bool) -> None:
        """Make the file at `path` a copy of a blob (None: an empty file). Raises as `begin`."""
        with self.begin(path, executable=executable) as file:
            if blob is not None:
                file.copy(blob)

    def write_link(self, path: str, linkname: str) -> None:
        """Make `path` a symlink to where the drive's link points, if that is inside the folder."""
        target = link_target(path, linkname)
        folder, name = self._enter(path)
        temporary = _temporary(path)
        try:
            if _kind(folder, name) == "link" and os.readlink(name, dir_fd=folder) == target:
                return
            _unlink(folder, temporary)
            os.symlink(target, temporary, dir_fd=folder)
        except OSError as error:
            raise _storage_error(path, error) from error
        _rename(path, folder, temporary, name)

    def remove(self, path: str) -> None:
        """Remove the file or link at `path`, and the folders that this leaves empty."""
        parts = safe_parts(path)
        try:
            folder, name = self._enter(path, make=False)
            if _kind(folder, name) in ("file", "link"):
                _unlink(folder, name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _storage_error(path, error) from error
        for depth in range(len(parts) - 1, 0, -1):
            self._forget(tuple(parts[:depth]))
            try:
                parent = self._folder(tuple(parts[: depth - 1]), make=False)
                os.rmdir(parts[depth - 1], dir_fd=parent)
            except OSError:
                return  # not empty, or not ours: it stays

    def size(self, path: str) -> int | None:
        """Bytes of the regular file at `path`; None if there is no such file."""
        try:
            folder, name = self._enter(path, make=False)
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (OSError, UnsafePath):
            return None
        return info.st_size if stat.S_ISREG(info.st_mode) else None

    def is_same(self, path: str, blob: Blob | None, *, executable: bool) -> bool:
        """Whether the file at `path` already has exactly these bytes and this mode."""
        if self.size(path) != (blob.size if blob else 0):
            return False
        try:
            folder, name = self._enter(path, make=False)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(name, flags, dir_fd=folder)
        except OSError:
            return False
        try:
            if bool(os.fstat(handle).st_mode & stat.S_IXUSR) != executable:
                return False
            return blob is None or equal_bytes(blob, handle)
        except OSError:
            return False
        finally:
            os.close(handle)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        # One call for thousands of files; Python has no name for it.
        if _LIBC.syncfs(self._root) != 0:
            number = ctypes.get_errno()
            raise _storage_error(self.root, OSError(number, os.strerror(number)))

    # How a path is reached, and how a file gets its name.

    def _enter(self, path: str, *, make: bool = True) -> tuple[int, str]:
        parts = safe_parts(path)
        return self._folder(tuple(parts[:-1]), make=make), parts[-1]

    def _folder(self, parts: tuple[str, ...], *, make: bool) -> int:
        if not parts:
            return self._root
        kept = self._folders.get(parts)
        if kept is not None:
            self._folders.move_to_end(parts)
            return kept
        parent = self._folder(parts[:-1], make=make)
        name = parts[-1]
        try:
            try:
                handle = os.open(name, _FOLDER, dir_fd=parent)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(name, dir_fd=parent)
                handle = os.open(name, _FOLDER, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise UnsafePath("a file or link is where a folder should be") from error
            if not make:
                raise
            raise _storage_error("/".join(parts), error) from error
        self._folders[parts] = handle
        while len(self._folders) > OPEN_FOLDERS:
            os.close(self._folders.popitem(last=False)[1])
        return handle

    def _forget(self, parts: tuple[str, ...]) -> None:
        handle = self._folders.pop(parts, None)
        if handle is not None:
            os.close(handle)


class NewFile:
    """A file being written under a temporary name; used with `with`, which gives it its own."""

    def __init__(self, path: str, folder: int, name: str, executable: bool) -> None:
        """folder: a handle that becomes ours."""
        self._path = path
        self._folder = folder
        self._name = name
        self._temporary = _temporary(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = 0o777 if executable else 0o666
        try:
            _unlink(folder, self._temporary)
            self._handle = os.open(self._temporary, flags, mode, dir_fd=folder)
        except OSError as error:
            os.close(folder)
            raise _storage_error(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()

    def write(self, parts: Iterable[Buffer]) -> None:
        """Append bytes. StorageError if the disk refuses."""
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(self._handle, view) :]
        except OSError as error:
            raise _storage_error(self._path, error) from error

    def copy(self, blob: Blob) -> None:
        """Append a blob. StorageError if the disk refuses."""
        try:
            copy_bytes(blob, self._handle)
        except OSError as error:
            raise _storage_error(self._path, error) from error

    def finish(self) -> None:
        """Give the file its name; UnsafePath if a folder has it."""
        try:
            os.close(self._handle)
            _rename(self._path, self._folder, self._temporary, self._name)
        finally:
            os.close(self._folder)

    def discard(self) -> None:
        """Leave nothing behind."""
        os.close(self._handle)
        try:
            _unlink(self._folder, self._temporary)
        finally:
            os.close(self._folder)


def _rename(path: str, folder: int, temporary: str, name: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        _unlink(folder, temporary)
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise UnsafePath("a folder of that name is in the way") from error
        raise _storage_error(path, error) from error


def _temporary(path: str) -> str:
    return f".pearbox-{hashlib.blake2b(path.encode(), digest_size=12).hexdigest()}.part"


def _kind(folder: int, name: str) -> str | None:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _storage_error(path: str, error: OSError) -> StorageError:
    where = printable(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"the disk is full while writing {where}: make room, then run the same command again",
            code="ENOSPC",
        )
    return StorageError(f"cannot write {where}: {(error.strerror or str(error)).lower()}")
