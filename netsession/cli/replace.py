"""``-o FILE``: what the name leads to, and a file that appears when it is complete."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from io import FileIO

from .killed import undone_if_killed
from .standard import cannot_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LINKS = 40  # as many as Linux follows
_ACL = "system.posix_acl_access"
# What may be copied of a file's extended attributes: its ACL, its label, and what users put there.
_KEPT_ATTRIBUTES = (_ACL, "security.selinux", "user.")


class Place:
    """What a name leads to, once its symbolic links have been followed.

    Attributes:
        name: as the user gave it.
        descriptor: the number of a descriptor of this process, or None.
        path: where to write, else; absolute.
        existing: its status, or None where it does not exist yet.
    """

    def __init__(
        self,
        name: str,
        *,
        descriptor: int | None = None,
        path: str = "",
        existing: os.stat_result | None = None,
    ) -> None:
        self.name = name
        self.descriptor = descriptor
        self.path = path
        self.existing = existing

    @property
    def is_replaced(self) -> bool:
        """Whether it is a file, written beside and then replaced; all else is written to."""
        if self.descriptor is not None:
            return False
        return self.existing is None or stat.S_ISREG(self.existing.st_mode)


def find(name: str) -> Place:
    """Follows a name to its place. Raises Stop where nothing can be written there.

    Link by link, and not by ``realpath``: on Linux that would make of ``/dev/stdout`` the file
    that standard output was redirected to, which must be written to and not replaced.
    """
    try:
        return _followed(name)
    except OSError as error:
        raise cannot_write(name, error.strerror or str(error)) from None
    except (ValueError, OverflowError):  # a NUL, what the file system cannot spell; /dev/fd/1e20
        raise cannot_write(name, "no file can have this name") from None


def _followed(name: str) -> Place:
    path = name
    for followed in range(_MOST_LINKS + 1):
        folder, last = os.path.split(path)
        folder = os.path.realpath(folder or os.curdir)
        path = os.path.join(folder, last)
        if last in ("", os.curdir, os.pardir):
            raise cannot_write(name, "it names a folder")
        if last.isascii() and last.isdecimal() and _has_descriptors(folder):
            return _descriptor(name, folder, last)
        if not os.path.islink(path):
            return _end(name, path, folder, linked=followed > 0)
        _check_owner(name, folder, os.lstat(path))
        path = os.path.join(folder, os.readlink(path))
    raise cannot_write(name, "it is a symbolic link that leads round in a circle")


def _has_descriptors(folder: str) -> bool:
    return folder == "/dev/fd" or (folder.startswith("/proc/") and folder.endswith("/fd"))


def _descriptor(name: str, folder: str, number: str) -> Place:
    ours = f"/proc/{os.getpid()}/"
    if folder != "/dev/fd" and not folder.startswith(ours):
        # Another process's. Its file is not ours to replace either.
        path = os.path.join(folder, number)
        return Place(name, path=path, existing=os.lstat(path))
    descriptor = int(number)
    os.fstat(descriptor)
    import fcntl  # there is one where there is such a folder

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise cannot_write(name, "it is not open for writing")
    return Place(name, descriptor=descriptor)


def _end(name: str, path: str, folder: str, *, linked: bool) -> Place:
    try:
        existing = os.lstat(path)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise cannot_write(name, f"there is no folder {folder}") from None
        if linked:
            # Whoever made the link would decide where a new file comes to be.
            raise cannot_write(
                name,
                f"it is a symbolic link to {path}, which does not exist; give that name itself, "
                "or remove the link",
            ) from None
        _check_folder(name, folder, exists=False)
        return Place(name, path=path)
    if stat.S_ISDIR(existing.st_mode):
        raise cannot_write(name, "it is a folder")
    _check_owner(name, folder, existing)
    if not os.access(path, os.W_OK):
        raise cannot_write(name, "permission denied: the file is write-protected")
    if stat.S_ISREG(existing.st_mode):
        _check_folder(name, folder, exists=True)
        _check_sticky(name, folder, existing)
    return Place(name, path=path, existing=existing)


def _check_folder(name: str, folder: str, *, exists: bool) -> None:
    if os.access(folder, os.W_OK | os.X_OK):
        return
    reason = f"no file can be made in its folder {folder}"
    if exists:
        reason += ", and -o only replaces a file whole; to write into it, redirect: > FILE"
    raise cannot_write(name, reason)


def _check_sticky(name: str, folder: str, there: os.stat_result) -> None:
    """Refuses a file that only its owner, or the folder's, may replace."""
    where = os.stat(folder)
    if not hasattr(os, "geteuid") or not where.st_mode & stat.S_ISVTX:
        return
    if os.geteuid() not in (0, there.st_uid, where.st_uid):
        raise cannot_write(name, f"in its folder {folder} only its owner may replace it")


def _check_owner(name: str, folder: str, there: os.stat_result) -> None:
    """Refuses what another user has planted in a folder where everybody may, as /tmp is.

    Linux does so of itself where a link is followed (fs.protected_symlinks, protected_regular);
    here it is followed by hand, and a file is replaced instead of opened.
    """
    if not hasattr(os, "geteuid"):
        return
    where = os.stat(folder)
    shared = stat.S_ISVTX | stat.S_IWOTH
    if where.st_mode & shared == shared and there.st_uid not in (os.geteuid(), where.st_uid):
        raise cannot_write(name, f"another user has put it into {folder}, which is everybody's")


@contextmanager
def replaced(place: Place) -> Iterator[FileIO]:
    """A new file to write to, that takes the place at the end, and vanishes where anything fails.

    So a file that exists is either complete or what it was before. The new one has a name that
    nobody can guess, is made by us or not at all, and follows no link. It gets the permissions of
    the one it replaces, and its owner and group as far as we may give them.
    """
    part = os.path.join(os.path.dirname(place.path), f".netsession-{os.urandom(8).hex()}.part")
    with undone_if_killed(lambda: os.unlink(part)):
        try:
            with _told(place):
                stream = _made(part, place)
            with stream:
                yield stream
                with _told(place):
                    _settle(stream)
            with _told(place):
                os.replace(part, place.path)
        finally:
            with suppress(OSError):
                os.unlink(part)


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """Only around what is done to the file: the failure of a call is an OSError as well."""
    try:
        yield
    except OSError as error:
        raise cannot_write(place.name, error.strerror or str(error)) from None


def _settle(stream: FileIO) -> None:
    """Waits until all is on the disk: some file systems find out only then that they are full."""
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):  # it does not know how
            raise
    stream.close()


def _made(part: str, place: Place) -> FileIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NOINHERIT", "O_BINARY"):
        flags |= getattr(os, name, 0)
    # A file that is new has the permissions that the umask and its folder leave.
    descriptor = os.open(part, flags, 0o666 if place.existing is None else 0o600)
    try:
        if place.existing is not None:
            _make_like(descriptor, place.path, place.existing)
        return FileIO(descriptor, "w")
    except BaseException:
        os.close(descriptor)
        raise


def _make_like(descriptor: int, path: str, existing: os.stat_result) -> None:
    if not hasattr(os, "fchown"):  # Windows: the new file has what its folder says
        return
    mode = stat.S_IMODE(existing.st_mode) & 0o777
    kept: tuple[str, ...] = _KEPT_ATTRIBUTES
    with suppress(OSError):
        os.fchown(descriptor, existing.st_uid, -1)
    try:
        os.fchown(descriptor, -1, existing.st_gid)
    except OSError:
        # Ours is another group, which may do what anybody may, also where an ACL says more.
        mode = mode & ~0o070 | (mode & 0o007) << 3
        kept = kept[1:]
    if hasattr(os, "removexattr"):
        with suppress(OSError):  # the folder gives what is new an ACL: others than had the old one
            os.removexattr(descriptor, _ACL)
    os.fchmod(descriptor, mode)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for attribute in os.listxattr(path):
                if attribute.startswith(kept):
                    with suppress(OSError):
                        os.setxattr(descriptor, attribute, os.getxattr(path, attribute))
