"""The log notifier shows each notification to whoever is at the machine."""

import io
import logging

import pytest

from adapters.clock import SystemClock
from adapters.notifier_log import LogNotifier
from lift.ports import OutboxItem


def test_a_notification_is_in_the_log_and_on_the_console(caplog: pytest.LogCaptureFixture) -> None:
    """Both say to whom, at which number, and what."""
    console = io.StringIO()
    item = OutboxItem(outbox_id=1, kind="order", party_id="swift", phone="", text="Lift rescue 电梯救援", created_at=0)
    with caplog.at_level(logging.INFO):
        LogNotifier(console).send(item)
        LogNotifier().send(item)
    assert console.getvalue() == "order to swift (no number): Lift rescue 电梯救援\n"
    assert [record.getMessage() + "\n" for record in caplog.records] == [console.getvalue()] * 2


def test_the_machines_clock_counts_microseconds() -> None:
    """It tells µs since 1970, which now have sixteen digits."""
    first = SystemClock().now()
    assert len(str(first)) == 16
    assert SystemClock().now() >= first
