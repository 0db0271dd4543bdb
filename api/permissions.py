"""Who may do what: one row for each route, and a route without a row cannot be built.

A row says which roles may act; what of the city a role sees (a firm its own lifts, a crew those of its employer)
is `api.sight`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lift.errors import Forbidden


class Role(StrEnum):
    """What a signed-in person is here; `metrics` is a machine that may read the figures and nothing else."""

    DISPATCHER = "dispatcher"
    FIRM = "firm"
    CREW = "crew"
    INSPECTOR = "inspector"
    ADMIN = "admin"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which roles a route is for; `act` completes the sentence "it takes a dispatcher to …"."""

    act: str
    roles: frozenset[Role]


def _rule(act: str, *roles: Role) -> Rule:
    return Rule(act, frozenset(roles))


_D, _F, _C, _I, _A = Role.DISPATCHER, Role.FIRM, Role.CREW, Role.INSPECTOR, Role.ADMIN

# The rows are the names of the route functions, which are also the operation ids in the OpenAPI document.
RULES: Final[Mapping[str, Rule]] = {
    "me": _rule("see who is signed in", *Role),
    "sign_out": _rule("sign out", *Role),
    "metrics": _rule("read the figures", *Role),
    "metrics_v1": _rule("read the figures", *Role),
    "catalogue": _rule("read the catalogue", _D, _F, _C, _I, _A),
    "events": _rule("follow the events", _D, _F, _C, _I, _A),
    "runbook_names": _rule("read the runbooks", _D, _F, _C, _I, _A),
    "runbook": _rule("read the runbooks", _D, _F, _C, _I, _A),
    "lifts": _rule("search lifts", _D, _F, _C, _I, _A),
    "lift": _rule("look at a lift", _D, _F, _C, _I, _A),
    "lift_state": _rule("look at a lift", _D, _F, _C, _I, _A),
    "lift_history": _rule("look at a lift's history", _D, _F, _C, _I, _A),
    "lift_trips": _rule("look at a lift's trips", _D, _F, _C, _I, _A),
    "alarms": _rule("list alarms", _D, _F, _C, _I, _A),
    "alarm": _rule("look at an alarm", _D, _F, _C, _I, _A),
    "acknowledge_alarm": _rule("acknowledge an alarm", _D, _F, _A),
    "shelve_alarm": _rule("shelve an alarm", _D, _F, _A),
    "unshelve_alarm": _rule("unshelve an alarm", _D, _F, _A),
    "repaired_alarm": _rule("report a repair", _D, _F, _A),
    "reset_alarm": _rule("reset an alarm", _D, _F, _A),
    "alarm_kpis": _rule("read the alarm desk's figures", _D, _I, _A),
    "out_of_service": _rule("list what is out of service", _D, _F, _C, _I, _A),
    "take_out_of_service": _rule("take alarms out of service", _D, _F, _A),
    "return_to_service": _rule("return alarms to service", _D, _F, _A),
    "incidents": _rule("list incidents", _D, _F, _C, _I, _A),
    "incident": _rule("look at an incident", _D, _F, _C, _I, _A),
    "acknowledge_incident": _rule("acknowledge an incident", _D, _A),
    "urgent_tickets": _rule("list tickets", _D, _F, _C, _I, _A),
    "tickets": _rule("list tickets", _D, _F, _C, _I, _A),
    "ticket": _rule("look at a ticket", _D, _F, _C, _I, _A),
    "audit_ticket": _rule("verify a ticket's log", _D, _F, _C, _I, _A),
    "report_call": _rule("report a phone call", _D, _A),
    "dispatch_ticket": _rule("order the next response level", _D, _A),
    "accept_ticket": _rule("accept a rescue", _D, _F, _C, _A),
    "depart_ticket": _rule("report a crew on its way", _D, _F, _C, _A),
    "arrive_ticket": _rule("report a crew's arrival", _D, _F, _C, _A),
    "release_ticket": _rule("report a release", _D, _F, _C, _A),
    "self_release_ticket": _rule("record a self-release", _D, _A),
    "false_alarm_ticket": _rule("record a false alarm", _D, _A),
    "call_back_ticket": _rule("record a call back", _D, _A),
    "file_cause_ticket": _rule("file a cause", _D, _F, _C, _A),
    "merge_ticket": _rule("merge a ticket", _D, _A),
    "cancel_ticket": _rule("cancel a ticket", _D, _A),
    "close_ticket": _rule("close a ticket", _D, _A),
    "callouts": _rule("list call-outs", _D, _F, _C, _I, _A),
    "accept_callout": _rule("accept a call-out", _D, _F, _C, _A),
    "refuse_callout": _rule("refuse a call-out", _D, _F, _C, _A),
    "quarantine": _rule("list quarantined messages", _D, _I, _A),
    "quarantine_item": _rule("look at a quarantined message", _D, _I, _A),
    "gateways": _rule("list gateways", _D, _F, _I, _A),
    "gateway": _rule("look at a gateway", _D, _F, _I, _A),
    "replay_quarantined": _rule("replay a quarantined message", _A),
}

# For these nobody needs to be signed in.
OPEN: Final = frozenset({"front_page", "openapi_document", "console", "console_file", "health", "sign_in"})


def check(name: str, role: Role) -> None:
    """Let a role use the route of this name; raises Forbidden saying which role it takes."""
    rule = RULES[name]
    if role not in rule.roles:
        raise Forbidden(f"to {rule.act} takes the role {either(rule.roles)}; you are signed in as {role}")


def may(role: Role) -> list[str]:
    """List the routes that a role may use, by name.

    >>> may(Role.METRICS)
    ['me', 'metrics', 'metrics_v1', 'sign_out']
    """
    return sorted(name for name, rule in RULES.items() if role in rule.roles)


def either(roles: frozenset[Role]) -> str:
    """List roles as a person would say them.

    >>> either(frozenset({Role.FIRM, Role.DISPATCHER, Role.CREW}))
    'dispatcher, firm or crew'
    """
    names = [str(role) for role in Role if role in roles]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


assert not OPEN & RULES.keys()
