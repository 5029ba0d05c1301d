"""What a host runs when a user submits a prompt."""

import sys

sys.dont_write_bytecode = True  # Codex withdraws its trust from a plugin folder into which something was written
sys.path.insert(0, __file__.rpartition("hooks")[0] + "plugin")
scope = {}
try:  # the bytecode that an install has put into one file: see holdfast/start.py
    from marshal import loads

    file = open(f"{sys.path[0]}/holdfast/__pycache__/hooks.{sys.implementation.cache_tag}.bytecode", "rb", 0)
    start, *rest = loads(file.read(16384))
    exec(start, scope)
except (OSError, ValueError, EOFError, TypeError):
    from holdfast.start import main

    main()
scope["main"](file, *rest)
