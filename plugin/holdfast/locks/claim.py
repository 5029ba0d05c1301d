"""One that wants a lock: it looks, waits in turn, and has the lock or gives up."""

import contextlib
import os
import time
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, LockTimeout
from holdfast.locks import kernel, names, records
from holdfast.locks.owner import Owner
from holdfast.locks.records import HELD, STALE, Holder

if TYPE_CHECKING:
    from holdfast.locks.manager import Locks

TURN = 2.0  # seconds without a sign of life after which a waiter's turn passes to the next: it may be stopped
VARIABLE = "HOLDFAST_LOCKS_HELD"  # tells what `holdfast lock run` starts which locks it runs under: ids, by commas


class Claim:
    """One that wants a lock, until it has it or gives up.

    before: those who hold the lock or came first, as of the last attempt.
    """

    def __init__(self, locks: "Locks", holder: Holder, session: Owner, *, keeps_meta: bool = False) -> None:
        self.locks = locks
        self.holder = holder
        self.session = session
        self.keeps_meta = keeps_meta
        self.renewed = False
        self.fd = kernel.NONE
        self.before: list[Holder] = []
        self.came = False
        self.kept = False

    def wait(self, timeout: "float | None") -> None:
        """Take the lock.

        Raises:
            LockTimeout: it was not free in time.
        """
        if timeout is None:
            from holdfast.project import Project

            timeout = Project.budget()
        if self._attempt():
            return
        if timeout > 0:
            from holdfast.state import backoff

            if backoff.until(self._attempt, timeout):
                return
        told = "; ".join(other.describe() for other in self.before[:3])
        more = f"; and {len(self.before) - 3} more" if len(self.before) > 3 else ""  # noqa: PLR2004
        raise LockTimeout(f"lock {self.holder.name} was not free within {timeout:g} s: {told}{more}")

    def end(self) -> None:
        """Let go of what ends with the process: the lock, or the place in the line. A lease that was taken stays."""
        waited = self.fd != kernel.NONE
        if waited:
            os.close(self.fd)
            self.fd = kernel.NONE
        if waited or (self.came and not self.kept):
            with self.locks.mutex():
                records.remove(self.locks.folder, self.holder, whole=not self.kept)

    def _attempt(self) -> bool:
        holder, folder = self.holder, self.locks.folder
        with self.locks.mutex():
            now = self.locks.clock()
            everything = records.load(folder, now, holder.name if self.came else "")
            found = [other for other in everything if names.key(other.name) == names.key(holder.name)]
            if self._renew(found, now):
                return True
            if self.came:
                self._alive()
            else:
                records.sweep(folder)
                self._check_order(everything)
                holder.order = 1 + max((other.order for other in found), default=0)
            self.before = [other for other in found if self._precedes(other)]
            for other in found:
                if other.status == STALE and other.id != holder.id:
                    records.remove(folder, other)
            if self.before:
                if not self.came:
                    self._come()
                return False
            holder.waiting, holder.since = False, now
            if holder.kind == "process":
                self._come()
                return True
            holder.expires = None if holder.ttl is None else now + holder.ttl
            records.save(folder, holder)
            self.came = self.kept = True
        return True

    def _come(self) -> None:
        """Show the holder or waiter to the others, together with the kernel lock that shows that it lives."""
        folder, holder = self.locks.folder, self.holder
        if self.fd == kernel.NONE and holder.kernel_lock:
            self.fd = kernel.seize(records.path(folder, holder.name, holder.id, HELD))
            holder.kernel_lock = self.fd != kernel.NONE
        if holder.kernel_lock or not holder.waiting:  # nobody could tell a killed waiter from a living one: no turns
            records.save(folder, holder)
        self.came = True

    def _alive(self) -> None:
        """Show that the waiter is not stopped."""
        with contextlib.suppress(OSError):
            os.utime(records.path(self.locks.folder, self.holder.name, self.holder.id, HELD))

    def _precedes(self, other: Holder) -> bool:
        """Whether another must let go first. One that cannot be read counts as exclusive."""
        mine = self.holder
        if other.id == mine.id or other.status == STALE:
            return False
        if other.shared and mine.shared:
            return False
        if not other.waiting:
            return True
        return other.order < mine.order and not self._stopped(other)

    def _stopped(self, other: Holder) -> bool:
        """Whether a waiter has not tried for so long that its turn passes on. Only turns hang on this, not safety."""
        try:
            sign = os.stat(records.path(self.locks.folder, other.name, other.id, HELD)).st_mtime
        except OSError:
            return False
        return abs(time.time() - sign) > TURN

    def _renew(self, found: "list[Holder]", now: float) -> bool:
        """Renew the lease that the owner has, if it has one."""
        for other in found:
            if self.holder.kind == "lease" and other.kind == "lease" and not other.waiting:
                if other.status != records.HELD_NOW or not other.owner.same(self.holder.owner):
                    continue
                if other.shared != self.holder.shared:
                    raise HoldfastError(
                        f"lock {other.name}: pid {other.owner.pid} holds it {'shared' if other.shared else 'exclusive'}"
                        ": release it before you take it otherwise"
                    )
                other.ttl = other.ttl if self.holder.ttl is None else self.holder.ttl
                other.expires = None if other.ttl is None else now + other.ttl
                if not self.keeps_meta:
                    other.meta = self.holder.meta
                records.save(self.locks.folder, other)
                if self.came:  # another that waited for the same owner was first
                    records.remove(self.locks.folder, self.holder)
                self.holder, self.renewed, self.kept = other, True, True
                return True
        return False

    def _check_order(self, everything: "list[Holder]") -> None:
        """Refuse what the session must not take: a lock before one that it holds, or one that it runs under."""
        above = os.environ.get(VARIABLE, "").split(",")
        held = []
        for other in everything:
            if other.status != records.HELD_NOW:
                continue
            if other.id in above:
                if names.key(other.name) == names.key(self.holder.name):
                    raise HoldfastError(
                        f"lock {other.name}: this runs under it already (lock run), and would wait for itself"
                    )
                held.append(other.name)
            elif other.kind == "lease" and other.owner.same(self.session):
                held.append(other.name)
        names.in_order(self.holder.name, held)
