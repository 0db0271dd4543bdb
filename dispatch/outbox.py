"""The outbox: carries stored notifications to people, at least once, until each is sent or given up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lift.errors import LiftError, NotFound, Unavailable
from lift.ports import Notifier, OutboxItem, Reads, Records, Timepiece

RETRY_S_MAX: Final = 60  # a person may be trapped: an order that cannot leave is tried again every minute

_SECOND_US: Final = 1_000_000
_DOUBLINGS_MAX: Final = 6
_ERROR_CHARACTERS_MAX: Final = 500
_log = logging.getLogger(__name__)


class Outbox:
    """Sends what is due through a notifier and writes down what became of it.

    A crash between sending and writing it down sends once more; nothing is lost.
    """

    def __init__(self, records: Records, notifier: Notifier, clock: Timepiece) -> None:
        self._records = records
        self._notifier = notifier
        self._clock = clock

    def deliver(self, most: int = 100) -> int:
        """Try each notification that is due, oldest first; gives how many were sent.

        What the notifier calls Unavailable is tried again after 1, 2, 4 … RETRY_S_MAX seconds. Any other refusal
        is final: the notification is given up, which the feed and the counts show.
        """
        with self._records.read() as reads:
            due = reads.outbox_due(self._clock.now(), most=most)
        return sum(self._try(item) for item in due)

    def _try(self, item: OutboxItem) -> bool:
        try:
            self._notifier.send(item)
        except LiftError as error:
            if isinstance(error, Unavailable):
                self._again(item, error)
            else:
                self._give_up(item, error)
            return False
        except Exception as error:  # noqa: BLE001 - see below
            # A notifier's own mistake must not keep the notifications behind this one from people.
            _log.exception("the notifier failed on notification %d", item.outbox_id)
            self._again(item, error)
            return False
        self._save(item, "notified", lambda now: replace(item, sent_at=now, error=""))
        return True

    def _again(self, item: OutboxItem, error: Exception) -> None:
        wait_s = min(2 ** min(item.attempts, _DOUBLINGS_MAX), RETRY_S_MAX)
        reason = str(error)[:_ERROR_CHARACTERS_MAX]
        self._save(item, "", lambda now: replace(item, next_at=now + wait_s * _SECOND_US, error=reason))

    def _give_up(self, item: OutboxItem, error: Exception) -> None:
        reason = str(error)[:_ERROR_CHARACTERS_MAX]
        _log.error("notification %d to %s is given up: %s", item.outbox_id, item.party_id, reason)
        self._save(item, "notification_failed", lambda now: replace(item, given_up_at=now, error=reason))

    def _save(self, item: OutboxItem, told: str, change: Callable[[int], OutboxItem]) -> None:
        with self._records.write() as tx:
            now = self._clock.now()
            changed = replace(change(now), attempts=item.attempts + 1)
            tx.save_outbox(changed)
            if told:
                lift, firm_id, ticket_id = _about(tx, item)
                data = {
                    "ticket_id": ticket_id,
                    "callout_id": item.about,
                    "notification": item.kind,
                    "party_id": item.party_id,
                    "attempts": changed.attempts,
                    "error": changed.error,
                }
                tx.announce(kind=f"callout.{told}", at=now, lift=lift, firm_id=firm_id, data=data)


def _about(reads: Reads, item: OutboxItem) -> tuple[str, str, str]:
    """Give the lift, its firm and the ticket that a notification tells of."""
    try:
        ticket = reads.ticket(reads.callout(item.about).ticket_id)
    except NotFound:
        return "", "", ""
    return ticket.lift, ticket.firm_id, ticket.ticket_id
