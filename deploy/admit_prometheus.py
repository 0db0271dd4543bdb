# ruff: noqa: INP001 - a program beside its configuration, in no package
"""Let Prometheus in: record the token in a file as the standing sign-in of a user who may read figures only.

    python deploy/admit_prometheus.py /run/secrets/metrics_token

People's sign-ins end with their shift; a scraper cannot sign in anew, so its token is recorded for years.
Doing it again changes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from api.guard import hash_token
from api.permissions import Role
from lift.ports import User
from runtime.settings import load

NAME: Final = "prometheus"
_YEARS: Final = 10
_YEAR_US: Final = 365 * 24 * 3600 * 1_000_000


def admit(token: str, records_url: str, *, now: int) -> None:
    """Record the token until ten years from `now` (µs since 1970 UTC); the user has no password."""
    records = SqlRecords(records_url)
    try:
        with records.write() as tx:
            tx.save_user(User(name=NAME, role=Role.METRICS, display_name="Prometheus"))
            tx.save_session(hash_token(token), NAME, now + _YEARS * _YEAR_US)
    finally:
        records.close()


if __name__ == "__main__":
    admit(Path(sys.argv[1]).read_text().strip(), load().records, now=SystemClock().now())
