"""What a host runs when a user submits a prompt."""

import sys

sys.dont_write_bytecode = True  # Codex withdraws its trust from a plugin folder into which something was written
sys.path.insert(0, __file__.rpartition("hooks")[0] + "plugin")

from holdfast.start import main  # noqa: E402

main()
