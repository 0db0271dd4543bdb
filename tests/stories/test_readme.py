"""The README's commands do what it says, run as it prints them."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import servers
from tests.program import Program, until

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readme_names_the_two_commands() -> None:
    """A stranger needs `make run` and `make test`, and the Makefile has both."""
    targets = set(re.findall(r"^make (\w+)", BLOCKS[0], re.MULTILINE))
    assert targets == {"run", "test"}
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.timeout(480)
def test_the_readme_runs_as_printed(tmp_path: Path) -> None:
    """`make run`, the lines that take a ticket to its end, and the reading from outside that makes one more."""
    servers.install("curl")
    servers.install("mosquitto-clients")
    desk = Program(tmp_path / "var")
    # Only the ports and the folder differ from what is printed, so that nothing else on the machine is met.
    takes_ticket, publishes = (
        block.replace("localhost:9633", f"127.0.0.1:{desk.port}")
        .replace("mosquitto_pub", f"mosquitto_pub -p {desk.mqtt_port}")
        .replace("var/passwords", str(tmp_path / "var" / "passwords"))
        for block in BLOCKS[1:]
    )
    make = shutil.which("make")
    assert make
    # Done already, unless pytest came from elsewhere; it is no part of how long a start takes.
    subprocess.run([make, "install"], cwd=ROOT, check=True, timeout=300)
    with subprocess.Popen(
        [make, "run"], cwd=ROOT, env=desk.environment, start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert until(lambda: _open_tickets(desk), within_s=90)
            closed = json.loads(_bash(takes_ticket).splitlines()[-1])
            assert closed["stage"] == "closed"
            _bash(publishes)
            assert until(lambda: "063577" in _open_tickets(desk), within_s=20)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            started = time.monotonic()
            printed, _ = process.communicate(timeout=30)
    assert time.monotonic() - started < 8
    assert "sign in as" in printed
    waits = r"(oldest unanswered \d+:\d\d|nobody waits for an answer)"
    assert re.search(rf"readings/s · \d+ open alarms? · \d+ open tickets? · {waits}", printed)
    assert "nothing is lost" in printed


def _open_tickets(desk: Program) -> list[str]:
    try:
        if not desk.token:
            desk.sign_in_as()
        return [ticket["lift"] for ticket in desk.get("/v1/tickets?open=true")["tickets"]]
    except (OSError, AssertionError):
        return []


def _bash(script: str) -> str:
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
