"""Gateways: who supervises sees all of them, a firm those of its own lifts, and nobody a lift of another's."""

from collections.abc import Callable

import pytest

from ingest.report import GatewayReport, Report
from ingest.statuses import Status
from tests.unit.api.world import EAST, SECOND, START, WEST, Client, World

BALANCED = {"received": 10, "stored": 6, "duplicate": 2, "refused": 1, "waiting": 1}


def report(world: World, *gateways: GatewayReport, missing: int = 0) -> None:
    """Let ingest write its report."""
    others = GatewayReport(name="(others)", lifts=0, readings={"received": 4, "refused": 4, "missing": missing})
    with world.records.write() as tx:
        Report(START, (*gateways, others)).save(tx)


EAST_GATEWAY = GatewayReport(
    name="demo",
    lifts=1,
    online=True,
    heard_at=START - SECOND,
    status=Status(online=True, at=START, version="1.2", spooled=3),
    clock_ahead_s=61.5,
    limited=True,
    limited_messages=7,
    arriving=1.5,
    rate=10.0,
    readings={**BALANCED, "late": 2, "messages_quarantined": 1},
    trips={"received": 2, "stored": 2},
)
WEST_GATEWAY = GatewayReport(name="demo-west", lifts=1, online=False, lost_since=START - 200 * SECOND)


def test_a_dispatcher_sees_every_gateway_and_that_nothing_is_missing(world: World, dispatcher: Client) -> None:
    """Status, clock, rates and counts of each, the sums of all, and what came from gateways nobody registered."""
    report(world, EAST_GATEWAY, WEST_GATEWAY)
    told = dispatcher.get("/v1/gateways").json()
    assert told["as_of"] == "2026-11-23T08:00:00.000000Z"
    summary = told["summary"]
    assert {name: summary[name] for name in ("gateways", "online", "lost", "clocks_wrong", "limited", "missing")} == {
        "gateways": 2, "online": 1, "lost": 1, "clocks_wrong": 1, "limited": 1, "missing": 0,
    }  # fmt: skip
    assert (summary["readings"]["received"], summary["trips"]["stored"]) == (10, 2)
    assert told["unregistered"]["refused"] == 4
    east, west = told["gateways"]
    assert (east["name"], east["said"]["version"], east["said"]["spooled"]) == ("demo", "1.2", 3)
    assert (east["clock_ahead_s"], east["clock_wrong"], east["limited_messages"]) == (61.5, True, 7)
    assert (east["readings"]["late"], east["quarantined_messages"]) == (2, 1)
    assert (west["online"], west["lost_since"], west["said"]) == (False, "2026-11-23T07:56:40.000000Z", None)


def test_what_is_missing_shows_in_the_summary(world: World, dispatcher: Client) -> None:
    """A fault in our own books is the first figure on the page."""
    report(world, GatewayReport(name="demo", lifts=1, readings={**BALANCED, "missing": 2}), missing=1)
    assert dispatcher.get("/v1/gateways").json()["summary"]["missing"] == 3


@pytest.mark.parametrize(("name", "gateway", "code"), [("east", "demo", EAST), ("west", "demo-west", WEST)])
def test_a_firm_sees_the_gateways_of_its_own_lifts(
    world: World, sign_in: Callable[[str], Client], name: str, gateway: str, code: str
) -> None:
    """Nothing of others, not even sums or strangers."""
    report(world, EAST_GATEWAY, WEST_GATEWAY)
    client = sign_in(name)
    told = client.get("/v1/gateways").json()
    assert [one["name"] for one in told["gateways"]] == [gateway]
    assert (told["summary"]["gateways"], told["unregistered"]) == (1, None)
    assert client.get(f"/v1/gateways/{gateway}").json()["lift_codes"] == [code]
    other = {"demo": "demo-west", "demo-west": "demo"}[gateway]
    assert client.get(f"/v1/gateways/{other}").status_code == 404


def test_before_the_first_report_the_register_is_all_that_is_known(dispatcher: Client) -> None:
    """A gateway is listed from the day it is registered."""
    told = dispatcher.get("/v1/gateways").json()
    assert (told["as_of"], [one["online"] for one in told["gateways"]]) == (None, [None, None])
    shown = dispatcher.get("/v1/gateways/demo").json()
    assert (shown["lifts"], shown["readings"]["received"], shown["readings"]["missing"]) == (1, 0, 0)


def test_a_crew_has_no_business_with_gateways(sign_in: Callable[[str], Client]) -> None:
    """It is told which roles have."""
    answer = sign_in("east-crew").get("/v1/gateways")
    assert (answer.status_code, "dispatcher, firm, inspector or admin" in answer.json()["detail"]) == (403, True)
