"""Hunts in one target, in a process of its own: `atheris` ends its process, and a target may hang."""

import atexit
import os
import random
import sys
import tempfile
import time
import traceback
from hashlib import sha256
from pathlib import Path

from fuzz.mutate import mutate

LONGEST = 1.0  # seconds of the processor that an input may take
GUIDED = 3.0  # times as long while coverage is counted

try:
    import atheris
except ImportError:
    atheris = None


class TooSlow(Exception):
    """An input took longer than a bounded one may."""


class Hunt:
    """Feeds inputs to a target, and keeps those that break a promise."""

    def __init__(self, name: str, finds: str) -> None:
        from fuzz.targets import TARGETS

        self.name = name
        self.target = TARGETS[name]()
        self.finds = finds
        self.known: set[str] = {path.stem for path in Path(finds).glob("*.txt")}
        self.runs = 0
        self.current = os.open(os.path.join(tempfile.gettempdir(), "current"), os.O_RDWR | os.O_CREAT, 0o600)

    def try_one(self, data: bytes) -> None:
        """Feed one input."""
        self.runs += 1
        os.pwrite(self.current, data, 0)
        os.ftruncate(self.current, len(data))
        began = time.process_time()
        try:
            self.target.run(data)
            taken = time.process_time() - began
            if taken > LONGEST * (GUIDED if atheris else 1):
                raise TooSlow(f"{taken:.1f} s")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  a deadline that rings outside is no Exception
            self.keep(data, error)

    def keep(self, data: bytes, error: BaseException) -> None:
        """Write down what broke a promise, once for each place."""
        frames = traceback.extract_tb(error.__traceback__)
        where = "|".join(f"{os.path.basename(frame.filename)}:{frame.name}:{frame.line}" for frame in frames[-4:])
        sort = sha256(f"{type(error).__name__}{where}".encode()).hexdigest()[:8]
        name = f"{self.name}-{sort}"
        if name in self.known:
            return
        self.known.add(name)
        os.makedirs(self.finds, exist_ok=True)
        Path(self.finds, name).write_bytes(data)
        told = "".join(traceback.format_exception(error))
        Path(self.finds, f"{name}.txt").write_text(told, encoding="utf-8", errors="backslashreplace")
        print(f"{name}: {type(error).__name__}: {str(error)[:200]!r}", flush=True)


def hunt(name: str, seconds: float, inputs: int, finds: str) -> int:
    """Hunt for so long, or with so many inputs, which are the same each time."""
    if atheris is None or inputs:
        return _by_chance(Hunt(name, finds), seconds, inputs)
    with atheris.instrument_imports(include=["holdfast"]):
        made = Hunt(name, finds)
        for seed in made.target.seeds():
            made.try_one(seed)  # what is imported late is instrumented here
    return _guided(made, seconds)


def _by_chance(made: Hunt, seconds: float, inputs: int) -> int:
    seeds = list(made.target.seeds())
    for seed in seeds:
        made.try_one(seed)
    dice = random.Random(1 if inputs else None)
    end = time.monotonic() + seconds
    while made.runs < inputs + len(seeds) if inputs else time.monotonic() < end:
        made.try_one(mutate(dice.choice(seeds), dice))
    print(f"{made.name}: {made.runs} inputs by chance", flush=True)
    return 0


def _guided(made: Hunt, seconds: float) -> int:
    corpus = os.path.join(tempfile.gettempdir(), "corpus")
    os.makedirs(corpus)
    for number, seed in enumerate(made.target.seeds()):
        Path(corpus, str(number)).write_bytes(seed)

    def altered(data: bytes, most: int, seed: int) -> bytes:
        return mutate(bytes(data), random.Random(seed), most)

    words = [sys.argv[0], corpus, f"-max_total_time={int(seconds)}", "-max_len=131072", "-timeout=300", "-verbosity=0"]
    words += ["-rss_limit_mb=2000", "-print_final_stats=1", f"-artifact_prefix={tempfile.gettempdir()}/"]
    atheris.Setup(words, made.try_one, custom_mutator=altered)
    atexit.register(lambda: print(f"{made.name}: {made.runs} inputs, guided by coverage", flush=True))
    atheris.Fuzz()  # ends the process
    return 0
