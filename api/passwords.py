"""Passwords: kept as Argon2 hashes, checked a few at a time, and slowly for whoever keeps guessing."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from typing import Final

import argon2

from api.errors import SlowDown
from lift.errors import Unavailable

# RFC 9106's second recommended choice (64 MiB, 3 passes), the default of the library.
_HASHER: Final = argon2.PasswordHasher()
# Each check takes 64 MiB and a core for about 0.1 s; the alarm path runs on the same machine.
_CHECKS_AT_ONCE: Final = 2
# How many may be checked or wait for it: whoever floods the sign-in must not take every thread from the routes.
_IN_LINE_MAX: Final = 8

_FREE_FAILURES: Final = 5
_WAIT_S_MAX: Final = 30
_NAMES_MAX: Final = 10_000


def hash_password(password: str) -> str:
    """Give the hash under which a password is kept."""
    return _HASHER.hash(password)


@functools.cache
def _nobody() -> str:
    """Give what is checked for a name that does not exist, so that it takes as long as one that does."""
    return _HASHER.hash("nobody")


class Passwords:
    """Checks passwords without telling from its time or answer whether a name exists."""

    def __init__(self) -> None:
        self._line = threading.BoundedSemaphore(_IN_LINE_MAX)
        self._turns = threading.BoundedSemaphore(_CHECKS_AT_ONCE)
        _nobody()  # now, and not at the first sign-in, which would take longer than the next

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether a password is the one hashed; None, for a name that does not exist, takes as long to refuse."""
        if not self._line.acquire(blocking=False):
            raise Unavailable("sign-in", "too many people sign in at once")
        try:
            with self._turns:
                _HASHER.verify(password_hash or _nobody(), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        else:
            return password_hash is not None
        finally:
            self._line.release()


class Patience:
    """Slows guessing: after a few failures in a row a name waits 1, 2, 4 … 30 s before the next attempt.

    A place (client address) from which the name has signed in before is counted by itself, so that a stranger
    who guesses at a dispatcher's name does not keep the dispatcher out. Memory is bounded: the names longest
    untouched are forgotten.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def attempt(self, name: str, place: str, now: int) -> None:
        """Count an attempt as failed until it succeeds, or raise SlowDown; `now` in µs since 1970 UTC.

        Counted beforehand, so that many guesses at the same moment do not all pass.
        """
        with self._lock:
            key = self._key(name, place)
            count, until = self._failures.get(key, (0, 0))
            if now < until:
                raise SlowDown((until - now) // 1_000_000 + 1)
            over = count + 1 - _FREE_FAILURES
            wait_s = 0 if over < 0 else min(2**over, _WAIT_S_MAX)
            self._failures[key] = (count + 1, now + wait_s * 1_000_000)
            _touch(self._failures, key)

    def succeeded(self, name: str, place: str) -> None:
        """Forget the failures of this place and remember that the name belongs here."""
        with self._lock:
            self._failures.pop(self._key(name, place), None)
            self._known[name, place] = None
            _touch(self._known, (name, place))

    def _key(self, name: str, place: str) -> tuple[str, str]:
        return (name, place if (name, place) in self._known else "")


def _touch(table: OrderedDict[tuple[str, str], tuple[int, int]] | OrderedDict[tuple[str, str], None],
           key: tuple[str, str]) -> None:  # fmt: skip
    table.move_to_end(key)
    while len(table) > _NAMES_MAX:
        table.popitem(last=False)
