"""Hurts a running Liftwatch at random moments and proves that no accepted reading is lost or stored twice.

make chaos                                   200 faults at 20,000 readings a second, about twenty minutes
python -m tests.chaos --faults 12 --lifts 4000 --seed 7
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.faults import Fault, Kind
from tests.chaos.run import run
from tests.chaos.world import Size

_OWN_MOUNTS = "LIFTWATCH_CHAOS_OWN_MOUNTS"


def main() -> None:
    """Run once and say what came of it; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=200, help="how many (200)")
    parser.add_argument("--lifts", type=int, default=20_000, help="one reading a second each (20000)")
    parser.add_argument("--gateways", type=int, default=10, help="they share the lifts (10)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeats a run (random)")
    parser.add_argument("--only", nargs="*", metavar="KIND", help=f"some of: {', '.join(k.name.lower() for k in Kind)}")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, journals and store")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    arguments = parser.parse_args()
    kinds = frozenset(Kind[name.upper()] for name in arguments.only) if arguments.only else frozenset(Kind)
    disks = _own_mounts()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not disks:
        kinds -= {Kind.SPOOL_DISK_FULL, Kind.STORE_DISK_FULL}
        sys.stderr.write("no small disks: mounting one is not allowed here, so no disk gets full\n")
    size = Size(arguments.gateways, arguments.lifts, arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="liftwatch-chaos-"))
    sys.stderr.write(f"seed {arguments.seed}, in {folder}\n")
    bar = Progress(
        TextColumn("{task.description:44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    try:
        with bar:
            task = bar.add_task("starting", total=arguments.faults)

            def show(_number: int, fault: Fault) -> None:
                bar.update(task, description=str(fault.kind), advance=1)

            outcome = run(folder, size, count=arguments.faults, kinds=kinds, disks=disks, progress=show)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write((json.dumps(outcome.as_json(), indent=1) if arguments.json else outcome.text()) + "\n")
    sys.exit(0 if outcome.good else 1)


def _own_mounts() -> bool:
    """Go on in a mount namespace of our own, so that small disks vanish with us; False where that is not allowed."""
    if _OWN_MOUNTS in os.environ:
        return os.environ[_OWN_MOUNTS] == "yes"
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    alone = [unshare, "-m"] if os.geteuid() == 0 else [unshare, "-Urm"]
    tried = subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    if tried.returncode == 0:
        command = [*alone, sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        os.execve(unshare, command, {**os.environ, _OWN_MOUNTS: "yes"})  # noqa: S606 - ourselves again
    return False


if __name__ == "__main__":
    main()
