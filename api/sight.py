"""What of the city a person sees: a firm its own lifts, a crew its employer's, the others everything.

A firm or station also sees the ticket, lift and alarms of a rescue that it is called to, while that is under way.
What someone may not see is NotFound in the words used for what does not exist, so nobody learns that it does.
"""

from __future__ import annotations

from api.guard import Person
from api.stream import Line
from lift.alarm import Alarm
from lift.errors import NotFound
from lift.ports import Reads
from lift.register import Lift


def lift(tx: Reads, who: Person, code: str) -> Lift:
    """Find a lift by rescue or registration code; raises NotFound."""
    try:
        return tx.lift(code, firm_id=who.firm_id)
    except NotFound:
        found = tx.lift(code)
        if not _called_to(tx, who, found.rescue_code):
            raise
        return found


def alarm(tx: Reads, who: Person, key: str) -> Alarm:
    """Find an alarm; raises NotFound."""
    try:
        return tx.alarm(key, firm_id=who.firm_id)
    except NotFound:
        found = tx.alarm(key)
        if not _called_to(tx, who, found.lift):
            raise
        return found


def event(who: Person, line: Line) -> bool:
    """Whether a person may see a line of the event stream."""
    return who.firm_id is None or who.firm_id in {line.firm_id, line.party_id}


def _called_to(tx: Reads, who: Person, code: str) -> bool:
    rescue = tx.rescue_of(code)
    if rescue is None:
        return False
    try:
        tx.ticket(rescue.ticket_id, firm_id=who.firm_id)
    except NotFound:
        return False
    return True
