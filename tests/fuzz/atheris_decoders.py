"""Fuzz the decoders and the intake by coverage, for as long as you like: `make fuzz`, or `make fuzz seconds=600`.

Needs atheris, which is no dependency of ours, in the Python that runs this. Inputs that were worth keeping, and what
broke something (`crash-…`), are left in the folder named on the command line; what broke something belongs into
tests/fuzz/cases, where every test run tries it again.
"""

import argparse
import importlib
import resource
import sys
import time
from pathlib import Path
from typing import Any

from lift import topics

_EVERY = 20_000


class Fuzzer:
    """One input after another, with a line about memory now and then."""

    def __init__(self, promises: Any) -> None:  # noqa: ANN401 - the module, loaded with instruments in it
        """Start the count."""
        self._promises = promises
        self._count = 0
        self._began = time.monotonic()
        self._first_mb = 0.0

    def try_out(self, data: bytes) -> None:
        """Take the input in alone or twice over, as telemetry or as trips; the first byte says which."""
        if not data:
            return
        self._count += 1
        if self._count % _EVERY == 0:
            self.report()
        kind = topics.TRIPS if data[0] & 1 else topics.TELEMETRY
        payload = data[1:]
        if data[0] & 2:
            payload = b"\xff\xff\xff\xff" + payload
        self._promises.keep_promises([payload, *([payload] if data[0] & 4 else [])], kind)

    def report(self) -> None:
        """Say how many inputs there were and the most memory that was ever used."""
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._first_mb = self._first_mb or peak_mb
        took_s = time.monotonic() - self._began
        sys.stderr.write(
            f"tried {self._count:,} inputs in {took_s:.0f} s; memory at most {peak_mb:.0f} MB, "
            f"{peak_mb - self._first_mb:+.0f} MB since the first {_EVERY:,}\n"
        )


def main() -> None:
    """Fuzz for some time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where inputs are kept")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    arguments = parser.parse_args()
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit(
            "fuzzing needs atheris, which is not installed here: pip install atheris (a wheel for Linux), then again"
        )
    with atheris.instrument_imports(include=["lift", "ingest"]):
        promises = importlib.import_module("tests.fuzz.promises")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number, payload in enumerate(promises.examples()):
        head, body = (2, payload[4:]) if payload.startswith(b"\xff\xff\xff\xff") else (0, payload)
        for trips in (0, 1):
            (arguments.folder / f"seed-{number}-{trips}").write_bytes(bytes([head | trips]) + body)
    options = [sys.argv[0], str(arguments.folder), f"-artifact_prefix={arguments.folder}/", "-print_final_stats=1"]
    limits = [f"-max_total_time={arguments.seconds}", "-max_len=16384", "-rss_limit_mb=2048", "-timeout=10"]
    atheris.Setup([*options, *limits], Fuzzer(promises).try_out)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
