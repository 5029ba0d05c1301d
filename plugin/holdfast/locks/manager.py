"""Taking, renewing, releasing and cleaning the named locks of one project."""

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.errors import HoldfastError, PermissionDenied, ValidationFailed, from_os
from holdfast.lean import dumps, join
from holdfast.locks import kernel, names, records
from holdfast.locks import owner as owners
from holdfast.locks.claim import VARIABLE, Claim
from holdfast.locks.owner import Owner
from holdfast.locks.records import DAMAGED, STALE, Holder

FOLDER = "locks"
MUTEX = "~mutex"  # guards the records for milliseconds at a time; no lock can have this name
MUTEX_BUDGET = 5.0  # seconds
META = 4096  # bytes of metadata as JSON

_of_thread = threading.local()


class Locks:
    """The named locks in a project's `.holdfast` folder. Any number of threads may use one.

    Whoever asks first is served first, so a stream of readers does not starve a writer, nor the other way round. A
    waiter whose process is stopped is passed over.

    Args:
        folder: the `.holdfast` folder.
        clock: tells the Unix time in seconds, for the ends of leases.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self.folder = join(folder, FOLDER)
        self.clock = clock

    @contextlib.contextmanager
    def hold(  # noqa: PLR0913  by keyword
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: "float | None" = None,
        meta: "Mapping[str, Any] | None" = None,
        command: str = "",
        session: "Owner | None" = None,
    ) -> Iterator["Held"]:
        """Hold a lock while the block runs; it ends with the process, however that ends.

        A thread cannot take a lock that it holds already, nor one that comes before one that it holds: two of them
        could wait for each other. The order is state, config, signals, backup, temp, then user and all other names.

        Args:
            name: the lock; names that differ in case alone are one lock.
            shared: with others that share it. Exclusive otherwise.
            timeout: seconds to wait; None for HOLDFAST_LOCK_TIMEOUT, else 30; 0 for one try.
            meta: what others may know, at most 4 KiB as JSON.
            command: what holds it, for people; by default the command line of this process.
            session: whose leases count for the order too; by default those of this process.

        Yields:
            The lock that is held.

        Raises:
            LockTimeout: it was not free in time; the message names who holds it.
            ValidationFailed: the name or the metadata is not as it must be.
            HoldfastError: the thread holds it, or one that comes after it; or the folder cannot be written.
        """
        me = owners.of(os.getpid())
        holder = self._holder(name, "process", me, meta)
        holder.shared = shared
        holder.command = command or owners.command_of(me.pid)
        mine = self._mine()
        if names.key(name) in map(names.key, mine):
            raise HoldfastError(f"lock {name}: this thread holds it already, and would wait for itself")
        names.in_order(name, mine)
        claim = Claim(self, holder, session or me)
        try:
            claim.wait(timeout)
            mine.append(name)
            try:
                yield Held(self, holder, claim.fd)
            finally:
                mine.remove(name)
        finally:
            claim.end()

    def acquire(  # noqa: PLR0913  by keyword
        self,
        name: str,
        owner: Owner,
        *,
        shared: bool = False,
        timeout: "float | None" = None,
        meta: "Mapping[str, Any] | None" = None,
        ttl: "float | None" = None,
    ) -> "tuple[Holder, bool]":
        """Take a lease, which outlives this process, or renew the one that its owner has.

        Args:
            name: the lock.
            owner: the process that the lease belongs to and ends with.
            shared: with others that share it. A renewal cannot change it.
            timeout: as for `hold`.
            meta: as for `hold`; a renewal without keeps what was there.
            ttl: seconds after which it runs out unless renewed; None for never, or for as long as it was taken for.

        Returns:
            The holder, and whether it was there before.

        Raises:
            LockTimeout, ValidationFailed, HoldfastError: as `hold`.
        """
        if ttl is not None and not 0 < ttl < float("inf"):
            raise ValidationFailed(f"a lease cannot last {ttl:g} seconds: give a number above 0")
        holder = self._holder(name, "lease", owner, meta)
        holder.shared, holder.ttl, holder.command = shared, ttl, owners.command_of(owner.pid)
        claim = Claim(self, holder, owner, keeps_meta=meta is None)
        try:
            claim.wait(timeout)
        finally:
            claim.end()
        return claim.holder, claim.renewed

    def release(self, name: str, owner: Owner) -> Holder:
        """Give back the lease that `owner` has; the status of what is returned tells whether it had run out.

        Raises:
            PermissionDenied: somebody else holds the lock.
            HoldfastError: nobody holds it.
        """
        names.check(name)
        with self.mutex():
            others = []
            for found in records.load(self.folder, self.clock(), name):
                if found.kind == "lease" and not found.waiting and found.owner.same(owner):
                    records.remove(self.folder, found)
                    return found
                if found.status not in (STALE, records.WAITING):
                    others.append(found.describe())
        if others:
            raise PermissionDenied(
                f"lock {name} is not held by pid {owner.pid}, and only its owner can release it: {'; '.join(others)}"
            )
        raise HoldfastError(f"lock {name} is not held")

    def holders(self, name: str = "") -> "list[Holder]":
        """Who holds or waits for a lock, or for any; stale and damaged records too. The oldest first.

        Raises:
            ValidationFailed: this is no name.
            HoldfastError: the folder cannot be read.
        """
        if name:
            names.check(name)
        with contextlib.ExitStack() as guarded:
            try:
                guarded.enter_context(self.mutex())
            except HoldfastError:  # a read-only checkout, or the mutex's holder is stopped: a look is still worth it
                pass
            try:
                return records.load(self.folder, self.clock(), name)
            except OSError as error:
                raise from_os(error, self.folder) from None

    def clean(self) -> "list[Holder]":
        """Remove what is stale: leases whose owner is gone or that have run out, and what killed processes left.

        Whoever renews needs the same mutex, so what was renewed a moment ago stays.

        Returns:
            The records that were removed, those that could not be read among them.

        Raises:
            HoldfastError: the folder cannot be written.
        """
        with self.mutex():
            found = records.load(self.folder, self.clock())
            removed = [one for one in found if one.status == STALE or (one.status == DAMAGED and one.kind != "process")]
            for one in removed:
                records.remove(self.folder, one)
            records.sweep(self.folder)
        return removed

    @contextlib.contextmanager
    def mutex(self) -> Iterator[None]:
        """Keep the records as they are but for the caller.

        Raises:
            HoldfastError: somebody else held it all the time, or the folder cannot be written.
        """
        try:
            try:
                os.mkdir(self.folder, 0o700)
            except FileExistsError:
                pass
            with kernel.exclusive(join(self.folder, MUTEX), MUTEX_BUDGET):
                yield
        except OSError as error:
            raise from_os(error, self.folder) from None

    def _holder(self, name: str, kind: str, owner: Owner, meta: "Mapping[str, Any] | None") -> Holder:
        names.check(name)
        told = dict(meta or {})
        try:
            size = len(dumps(told))
        except (TypeError, ValueError) as error:
            raise ValidationFailed(f"lock {name}: the metadata cannot be kept as JSON: {error}") from None
        if size > META:
            raise ValidationFailed(f"lock {name}: the metadata has {size} bytes as JSON, and may have {META}")
        return Holder(name, secrets.token_hex(6), kind, owner, waiting=True, since=self.clock(), meta=told)

    def _mine(self) -> "list[str]":
        """The locks of this folder that this thread holds, in order."""
        held: dict[str, list[str]] = _of_thread.__dict__.setdefault("held", {})
        return held.setdefault(os.path.realpath(self.folder), [])


class Held:
    """A lock that is held.

    holder: its record. fd: the descriptor that holds the kernel lock; who inherits it holds on. It is negative where
    the file system has no kernel locks.
    """

    def __init__(self, locks: Locks, holder: Holder, fd: int) -> None:
        self.locks = locks
        self.holder = holder
        self.fd = fd

    def tell_child(self, pid: int) -> None:
        """Let others see the command that runs under the lock.

        Raises:
            HoldfastError: the record cannot be written.
        """
        self.holder.child = pid
        with self.locks.mutex():
            records.save(self.locks.folder, self.holder)

    def environment(self) -> "dict[str, str]":
        """The environment for a command that runs under the lock."""
        ids = [*filter(None, os.environ.get(VARIABLE, "").split(",")), self.holder.id]
        return {**os.environ, VARIABLE: ",".join(ids)}
