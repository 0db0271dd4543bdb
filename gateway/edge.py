"""The edge: what stands between a driver's samples and the spool.

Every sample is looked at for an emergency first; what the cadence lets through is spooled; finished trips follow. A
part that fails is counted and named and stops none of the others, for somebody may be trapped while it fails.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal, Protocol

import numpy as np

from gateway.cadence import INTERVAL_S, Cadence
from gateway.calls import CallLedger
from gateway.gateway import Gateway
from gateway.memory import Memory
from gateway.raw_block import RawBlock
from gateway.requests import Requests
from gateway.samples import Samples, one_each
from gateway.watch import Emergency, Sighting, Watch
from lift.batch import Batch, Ints, Mask
from lift.errors import Invalid, LiftError
from lift.metrics import Metric
from lift.ports import Timepiece
from lift.signals import TEST_CALL_AGE
from lift.topics import TRIPS
from lift.trips import JERK_MAX

log = logging.getLogger(__name__)

# A comfort message is a sentence or two.
COMFORT_CHARACTERS_MAX: Final = 200
# A site is a building or an estate; more lifts than this are several sites.
LIFTS_MAX: Final = 10_000
_NEVER: Final = -(2**62)
_LOOK_EVERY_US: Final = 1_000_000
# Beginnings and ends of emergencies that the site's own log keeps.
LOG_MAX: Final = 1_000
_LOG: Final = "sighting"


class Segmenter(Protocol):
    """Finds finished trips; `gateway.trips` has one."""

    def take(self, batch: Batch) -> Batch:
        """Take samples, at most one a lift, and give the trips that they finish: one row each, over TRIP_SIGNALS."""

    def take_raw(self, block: RawBlock) -> None:
        """Take raw acceleration for the trip that it is of; raises Invalid for what cannot be used."""

    def flush(self) -> Batch:
        """Give the finished trips that still wait."""


class Speaker(Protocol):
    """Plays a comfort message in a car."""

    def __call__(self, lift: str, text: str) -> None:
        """Play it; raises a LiftError when that is not possible."""


class Edge:
    """Takes a site's samples, at least one a second and lift, and hands its gateway what is worth sending.

    `lifts` are the site's rescue codes; samples of other lifts go to the gateway as they are. `on_emergency` hears
    of each emergency as it begins and ends, with or without a line, in the thread that calls `take`: a site shows or
    sounds it. `speaker` plays comfort messages; without one they are refused. `segmenter` finds the trips.
    `take` may be called from any thread.
    """

    def __init__(
        self,
        lifts: Sequence[str],
        gateway: Gateway,
        memory: Memory,
        clock: Timepiece,
        *,
        segmenter: Segmenter | None = None,
        interval_s: float = INTERVAL_S,
        on_emergency: Callable[[Sighting], None] | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        """Take over the gateway's requests. Raises Invalid for an interval out of bounds or too many lifts."""
        if len(lifts) > LIFTS_MAX or len(set(lifts)) < len(lifts):
            raise Invalid("lifts", f"{len(lifts)} of them: at most {LIFTS_MAX:,}, and each once")
        self._gateway = gateway
        self._memory = memory
        self._clock = clock
        self._samples = Samples(lifts)
        self._watch = Watch(len(lifts))
        self._cadence = Cadence(len(lifts), interval_s=interval_s)
        self._segmenter = segmenter
        self._calls = CallLedger(self._samples.lifts, memory, gateway, now=clock.now())
        self._calls_looked_at = _NEVER
        self._heard: Ints = np.full(len(lifts), _NEVER, np.int64)
        self._on_emergency = on_emergency
        self._speaker = speaker
        # Guards everything that `take` and a request both touch.
        self._busy = threading.Lock()
        self._sampled = 0
        self._reported = 0
        self._trips = 0
        self._rides = 0
        self._raw_blocks = 0
        self._raw_refused = 0
        self._emergencies = 0
        self._failures = {"trips": 0, "test_calls": 0, "log": 0, "on_emergency": 0}
        acts = {"test_call": self._call, "report_interval": self._set_interval, "comfort_message": self._comfort}
        if speaker is None:
            del acts["comfort_message"]
        gateway.answer_with(Requests(memory, clock, acts), self.tell)

    def take(self, samples: Batch) -> None:
        """Take samples of any of the site's lifts, in order of time. Raises Unavailable when the disk refuses some.

        What was refused is reported anew with the next sample.
        """
        with self._busy:
            ours, others = self._samples.numbered(samples)
            refusal = self._hand_over(others)
            for part in one_each(ours):
                refusal = self._take(part) or refusal
            self._run_calls()
        if refusal is not None:
            raise refusal

    def take_raw(self, block: RawBlock) -> None:
        """Take a block of a lift's raw acceleration, of which only the figures of its trip are ever sent.

        Raises Invalid as `gateway.trips.Segmenter.take_raw` does. May be called from any thread.
        """
        with self._busy:
            self._raw_blocks += 1
            try:
                if self._segmenter is None:
                    raise Invalid("acceleration", "nothing here finds trips")  # noqa: TRY301 - counted like the others
                self._segmenter.take_raw(block)
            except Invalid:
                self._raw_refused += 1
                raise

    def _take(self, samples: Batch) -> LiftError | None:
        self._sampled += len(samples)
        self._heard[samples.lift] = samples.at
        urgent, sightings = self._watch.take(samples)
        report = self._cadence.pick(samples) | urgent
        self._reported += int(np.count_nonzero(report))
        refusal = self._hand_over(samples.take(report), urgent[report])
        if refusal is not None:
            self._cadence.forget(samples.lift[report])
        for sighting in sightings:
            self._tell_site(sighting)
        self._guard("trips", lambda: self._find_trips(samples))
        return refusal

    def _hand_over(self, batch: Batch, urgent: Mask | None = None) -> LiftError | None:
        if not len(batch):
            return None
        try:
            self._gateway.accept(self._with_test_call_ages(batch) if urgent is not None else batch, urgent=urgent)
        except LiftError as error:
            return error
        return None

    def _with_test_call_ages(self, batch: Batch) -> Batch:
        ages = self._calls.ages_to_show(batch.lift, self._clock.now())
        if ages is None:
            return batch
        return Batch(batch.names, batch.lift, batch.at, {**batch.columns, TEST_CALL_AGE: ages}, batch.codes)

    def _tell_site(self, sighting: Sighting) -> None:
        what = "begins" if sighting.begins else "ends"
        log.warning("emergency at lift %s %s: %s", sighting.lift, what, sighting.emergency.replace("_", " "))
        self._emergencies += sighting.begins
        name = f"{sighting.at}:{sighting.lift}:{sighting.emergency}:{sighting.begins:d}"
        kept = {name: asdict(sighting)}
        self._guard("log", lambda: self._memory.keep(_LOG, kept, at=sighting.at, most=LOG_MAX))
        if (hear := self._on_emergency) is not None:
            self._guard("on_emergency", lambda: hear(sighting))

    def _find_trips(self, samples: Batch) -> None:
        if self._segmenter is not None:
            self._send_trips(self._segmenter.take(samples))

    def _send_trips(self, trips: Batch) -> None:
        if len(trips):
            self._trips += len(trips)
            self._rides += int(np.count_nonzero(~np.isnan(trips.column(JERK_MAX))))
            self._gateway.accept(trips, kind=TRIPS)

    def _run_calls(self) -> None:
        now = self._clock.now()
        if not 0 <= now - self._calls_looked_at < _LOOK_EVERY_US:
            self._calls_looked_at = now
            self._guard("test_calls", lambda: self._calls.run(now, self._heard))

    def _guard(self, part: str, act: Callable[[], None]) -> None:
        """Do what must not keep the readings of a lift from the platform, whatever goes wrong in it."""
        try:
            act()
        except Exception:
            self._failures[part] += 1
            # The first, the tenth, the hundredth … of many.
            if str(self._failures[part]).strip("0") == "1":
                log.exception("%s failed, for the %d. time", part, self._failures[part])

    def close(self) -> None:
        """Hand over the trips that have ended; close the gateway after this."""
        if (segmenter := self._segmenter) is not None:
            with self._busy:
                self._guard("trips", lambda: self._send_trips(segmenter.flush()))

    def sightings(self) -> list[Sighting]:
        """Give the site's own log of emergencies, the oldest first; it is on disk and outlives the process."""
        return [
            Sighting(row["lift"], Emergency(row["emergency"]), row["at"], row["begins"])
            for row in self._memory.recall(_LOG).values()
        ]

    # ------------------------------------------------------------------------------------ requests

    def _call(self, body: Mapping[str, Any]) -> str:
        lift = self._lift_of(body)
        with self._busy:
            heard = int(self._heard[self._samples.lifts.index(lift)])
            self._calls.call(lift, self._clock.now(), heard)
        return f"test call of lift {lift} made; it got through when test_call_age begins anew"

    def _set_interval(self, body: Mapping[str, Any]) -> str:
        seconds = body.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise Invalid("seconds", f"{str(seconds)[:40]} is not a number")
        with self._busy:
            self._cadence.set_interval(float(seconds))
        return f"idle lifts report every {seconds:g} s"

    def _comfort(self, body: Mapping[str, Any]) -> str:
        lift, text = self._lift_of(body), body.get("text")
        if not isinstance(text, str) or not 0 < len(text) <= COMFORT_CHARACTERS_MAX or not text.isprintable():
            raise Invalid("text", f"must be one line of 1 to {COMFORT_CHARACTERS_MAX} characters")
        assert self._speaker is not None
        self._speaker(lift, text)
        return f"played in lift {lift}"

    def _lift_of(self, body: Mapping[str, Any]) -> str:
        lift = body.get("lift")
        if not isinstance(lift, str) or lift not in self._samples.lifts:
            raise Invalid("lift", f"{str(lift)[:40]!r} is not behind this gateway")
        return lift

    # ------------------------------------------------------------------------------------- figures

    def tell(self) -> dict[str, Any]:
        """Give what the status says of the edge."""
        return {
            "lifts": len(self._samples.lifts),
            "report_interval_s": self._cadence.interval_s,
            "emergencies": self._watch.count(),
            "test_calls_overdue": len(self._calls.overdue(self._clock.now())),
        }

    def metrics(self) -> list[Metric]:
        """Give the edge's figures, since start."""
        told = self.tell()
        figures: list[tuple[str, Literal["counter", "gauge"], str, float]] = [
            ("samples_total", "counter", "Samples that drivers have read", self._sampled),
            ("reports_total", "counter", "Of these, reported", self._reported),
            ("trips_total", "counter", "Finished trips", self._trips),
            ("rides_total", "counter", "Of these, with ride quality", self._rides),
            ("raw_blocks_total", "counter", "Blocks of raw acceleration that drivers have read", self._raw_blocks),
            ("raw_blocks_refused_total", "counter", "Of these, refused", self._raw_refused),
            ("emergencies_total", "counter", "Emergencies that began, as the site sees them", self._emergencies),
            ("emergencies_standing", "gauge", "Lifts with an emergency, as the site sees it", told["emergencies"]),
            ("test_calls_overdue", "gauge", "Lifts without a test call for three days", told["test_calls_overdue"]),
            ("report_interval_seconds", "gauge", "How often an idle lift reports", self._cadence.interval_s),
        ]
        label = {"gateway": self._gateway.name}
        return [
            *(Metric(f"liftwatch_gateway_{name}", kind, text, ((label, n),)) for name, kind, text, n in figures),
            Metric(
                "liftwatch_gateway_failures_total",
                "counter",
                "Times a part of the edge failed; the others went on",
                tuple(({**label, "part": part}, float(count)) for part, count in self._failures.items()),
            ),
        ]
