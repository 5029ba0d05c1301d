"""What run.sh starts: the hook itself, with the interpreter's cache in the folder of the package's data.

Nothing may be written where the package is: Codex withdraws its trust from a plugin into which something was written.
This file must parse on every Python, so that an old one can say so.
"""

import sys

STARTS = "--start" in sys.argv
if sys.version_info < (3, 10):  # noqa: UP036  the python3 that is there may be any
    sys.exit(1 if STARTS else 0)  # run.sh says why
DATA = sys.argv[sys.argv.index("--data") + 1]
sys.pycache_prefix = DATA + "/pycache"
sys.path.insert(0, __file__.rpartition("hooks")[0])

from holdfast.start import main  # noqa: E402

main(DATA, STARTS)
