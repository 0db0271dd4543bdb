"""What an administrator does at the command line: people, and checks of the tickets' logs."""

from __future__ import annotations

from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from api.passwords import hash_password
from api.permissions import Role
from dispatch.desk import RescueDesk
from lift.errors import Conflict, Invalid
from lift.ports import User
from runtime.app import new_password, policy
from runtime.settings import Settings

_PAGE = 500


def add_user(settings: Settings, *, name: str, role: str, scope: str, display_name: str) -> str:
    """Add someone, or give them a new password; gives the password. Raises Invalid, NotFound."""
    if role not in set(Role):
        raise Invalid("--role", f"{role!r} is not accepted; accepted: {', '.join(Role)}")
    records = SqlRecords(settings.records)
    try:
        with records.write() as tx:
            if role == Role.FIRM:
                tx.firm(scope)
            elif role == Role.CREW:
                tx.crew(scope)
            elif scope:
                raise Invalid("--scope", f"the role {role} sees the whole city and takes no scope")
            password = new_password()
            tx.save_user(
                User(
                    name=name,
                    role=role,
                    scope=scope,
                    display_name=display_name or name,
                    password_hash=hash_password(password),
                )
            )
    finally:
        records.close()
    return password


def verify_all(settings: Settings) -> tuple[int, dict[str, str]]:
    """Recompute every ticket's chain; gives how many were checked and what is wrong with each broken one."""
    records = SqlRecords(settings.records)
    desk = RescueDesk(records, SystemClock(), policy(settings))
    checked = 0
    broken: dict[str, str] = {}
    before: int | None = None
    try:
        while True:
            with records.read() as tx:
                page = tx.tickets(before=before, most=_PAGE)
            for ticket in page:
                checked += 1
                try:
                    desk.verify(ticket.ticket_id)
                except Conflict as error:
                    broken[ticket.ticket_id] = str(error)
            if not page:
                return checked, broken
            before = page[-1].opened_at
    finally:
        records.close()
