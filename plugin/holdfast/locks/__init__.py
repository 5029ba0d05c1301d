"""Named locks that people, scripts and programs of a project share, in `.holdfast/locks/`.

    names     which names there are, and the order in which they may be taken
    owner     who a process is, so that a later one with the same number is not taken for it
    records   one file a holder, and one a waiter
    kernel    what shows that a holder lives
    claim     waiting in turn for a lock
    manager   taking, releasing, listing, cleaning
    child     a command that runs under a lock

There are two kinds of holders. A `process` holds by a kernel lock on a file of its own, which ends with it however it
ends. A `lease` outlives the command that took it: it names its owner, a process that lives on, and may run out. Both
are records, so shared and exclusive, waiting in turn and all messages are the same for both.

Why not filelock's own: its leases are renewed by a thread of the process that took them and end with it; its
read-write lock is an SQLite database that names no holder, knows no leases and is not inherited by a command; its
kernel locks give out no descriptor to inherit in the releases for Python 3.10. Its soft lock stands in where a file
system has no kernel locks.
"""

from holdfast.locks.manager import Locks
from holdfast.locks.owner import Owner
from holdfast.locks.records import Holder

__all__ = ["Holder", "Locks", "Owner"]
