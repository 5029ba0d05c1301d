"""What run.sh starts: the hook itself, with the interpreter's cache in the folder of the package's data.

Nothing may be written where the package is: Codex withdraws its trust from a plugin into which something was written.
This file must parse on every Python, so that an old one can say so.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  the python3 that is there may be any
    sys.exit("--start" in sys.argv)  # run.sh says why
DATA = sys.argv[sys.argv.index("--data") + 1]
sys.pycache_prefix = DATA + "/pycache"
sys.path.insert(0, __file__.rpartition("/hooks/")[0])
try:  # the bytecode that the set-up has put into one file: see holdfast/start.py
    from _imp import source_hash
    from marshal import loads

    file = open(DATA + "/hooks." + sys.implementation.cache_tag + ".bytecode", "rb", 0)
    head = file.read(16384)
    exec(source_hash(1, head[8:]) == head[:8] and loads(head[8:]))
except Exception:  # noqa: BLE001  whatever is wrong with it, the modules are there
    from holdfast.start import main

    main()
