"""Feeds what is not ours, and what may be damaged, to the code that reads it. `python -m fuzz --help`."""
