"""What happens when everything happens at the same moment, on both databases."""

import threading
from pathlib import Path

import pytest

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from dispatch.desk import Actor, RescueDesk
from dispatch.policy import Policy
from lift.errors import Conflict
from tests.small_city import CENTRAL, CITY, StandingClock, transition

ANN = Actor("Ann", "dispatcher")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def test_calls_alarms_and_answers_at_one_moment(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Six callers and six alarms for one lift make one ticket, and of six who accept it one has it."""
    url = request.getfixturevalue("postgresql_url") if kind == "postgresql" else f"sqlite:///{tmp_path}/records.db"
    clock = StandingClock()
    first, second = SqlRecords(url), SqlRecords(url)  # as in two processes
    with first.write() as tx:
        tx.register(CITY)
    accepted: list[str] = []
    refused: list[Conflict] = []
    ready = threading.Barrier(12)

    def trouble(number: int) -> None:
        records = (first, second)[number % 2]
        desk, alarms = RescueDesk(records, clock, Policy()), AlarmDesk(records, clock)
        ready.wait(30)
        if number < 6:
            desk.report_call(CENTRAL, by=ANN, summary="stuck")
        else:
            with records.write() as tx:
                desk.take(tx, alarms.take(tx, [transition(CENTRAL, clock.now() + number)]))
        ready.wait(30)
        with records.read() as reads:
            [callout] = reads.callouts()
        if number < 6:
            try:
                accepted.append(desk.answer(callout.callout_id, accept=True, by=ANN).callout_id)
            except Conflict as error:
                refused.append(error)

    threads = [threading.Thread(target=trouble, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)

    with first.read() as reads:
        [ticket] = reads.tickets()
        kinds = [event.kind for event in reads.ticket_events(ticket.ticket_id)]
        assert len(reads.alarms(standing=True)) >= 1
    assert kinds[:2] == ["received", "dispatched"]
    assert len([kind for kind in kinds if kind.endswith("_joined")]) == 11
    assert (len(accepted), len(refused)) == (1, 5)
    RescueDesk(second, clock, Policy()).verify(ticket.ticket_id)
    first.close()
    second.close()
