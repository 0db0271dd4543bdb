"""Requests: the three things that may be asked of a gateway. It watches; nothing that reaches it may move a lift."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.memory import Memory
from lift.errors import Invalid, LiftError
from lift.ports import Timepiece

log = logging.getLogger(__name__)

# Everything that may be asked of a gateway.
ALLOWED_REQUESTS: Final = frozenset({"comfort_message", "test_call", "report_interval"})

# Does a request and says in a few words what was done; raises a LiftError that says why not.
Act = Callable[[Mapping[str, Any]], str]

# A request that was delivered twice, even days later, is known by its id; so many are remembered.
REMEMBERED_MAX: Final = 256
# The newest answers travel in the status.
ANSWERS_SHOWN: Final = 8
A_MINUTE_MAX: Final = 60
_ID_CHARACTERS_MAX: Final = 64
_MINUTE_US: Final = 60_000_000
_KIND: Final = "request"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request; `at` in µs since 1970 UTC."""

    id: str
    kind: str
    done: bool
    text: str
    at: int


class Requests:
    """Takes requests, does each id once, and remembers the answers in a `Memory`. `acts` does them, by kind."""

    def __init__(self, memory: Memory, clock: Timepiece, acts: Mapping[str, Act]) -> None:
        unknown = set(acts) - ALLOWED_REQUESTS
        assert not unknown, f"a gateway does not do {unknown}"
        self._memory = memory
        self._clock = clock
        self._acts = acts
        self._answers = {name: Answer(**kept) for name, kept in memory.recall(_KIND).items()}
        self._taken: deque[int] = deque(maxlen=A_MINUTE_MAX)
        self.repeated = 0

    def take(self, payload: bytes) -> Answer:
        """Do a request, or give the answer it got before; raises Invalid for what is not one or is too much.

        What is allowed and cannot be done is answered, with the reason, and may not be asked again under its id.
        """
        kind, body = parse_request(payload)
        name = body.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= _ID_CHARACTERS_MAX:
            raise Invalid("id", f"must be a text of 1 to {_ID_CHARACTERS_MAX} characters, new for each request")
        if (known := self._answers.get(name)) is not None:
            self.repeated += 1
            return known
        now = self._clock.now()
        if len(self._taken) == A_MINUTE_MAX and 0 <= now - self._taken[0] < _MINUTE_US:
            raise Invalid("request", f"more than {A_MINUTE_MAX} requests in a minute")
        self._taken.append(now)
        answer = self._answer(name, kind, body, now)
        log.info("request %s (%s): %s", answer.id, answer.kind, answer.text)
        return answer

    def newest(self) -> list[Answer]:
        """Give the newest answers, oldest first."""
        return list(self._answers.values())[-ANSWERS_SHOWN:]

    def _answer(self, name: str, kind: str, body: Mapping[str, Any], now: int) -> Answer:
        # Remembered before it is done: should the power go meanwhile, it is not done twice.
        self._keep(Answer(name, kind, done=False, text="begun, and not known to be done", at=now))
        try:
            act = self._acts.get(kind)
            if act is None:
                raise Invalid("kind", f"{kind} is refused: there is nothing here that could do it")
            answer = Answer(name, kind, done=True, text=act(body), at=now)
        except LiftError as error:
            answer = Answer(name, kind, done=False, text=str(error), at=now)
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        value = {slot: getattr(answer, slot) for slot in Answer.__slots__}
        self._memory.keep(_KIND, {answer.id: value}, at=answer.at, most=REMEMBERED_MAX)
        self._answers.pop(answer.id, None)
        self._answers[answer.id] = answer
        while len(self._answers) > REMEMBERED_MAX:
            del self._answers[next(iter(self._answers))]


def parse_request(payload: bytes) -> tuple[str, Mapping[str, Any]]:
    """Read a request: its kind and all it says; raises Invalid for every kind that is not allowed."""
    body = json_object(payload)
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in ALLOWED_REQUESTS:
        allowed = ", ".join(sorted(ALLOWED_REQUESTS))
        raise Invalid("kind", f"{str(kind)[:40]!r} is refused: this gateway only watches. Allowed: {allowed}")
    return kind, body


def json_object(payload: bytes) -> dict[str, Any]:
    """Read a JSON object; raises Invalid."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Invalid("payload", f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Invalid("payload", f"must be a JSON object; got {str(body)[:40]}")
    return body
