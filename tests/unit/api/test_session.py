"""Signing in and out."""

from collections.abc import Callable
from contextlib import closing

import pytest

from api.errors import SlowDown
from api.guard import COOKIE, hash_token
from api.passwords import Passwords, Patience, hash_password
from lift.errors import Unavailable
from tests.unit.api.world import HOUR, PASSWORD, SECOND, START, Client, World


def test_token_opens_the_routes_and_only_its_hash_is_stored(world: World, nobody: Client) -> None:
    """A sign-in gives a token that works as a bearer; the records hold nothing to sign in with."""
    answer = nobody.post("/v1/session", name="dispatcher", password=PASSWORD)
    assert answer.status_code == 201
    token = answer.json()["token"]
    with closing(Client(world.app, token)) as client:
        assert client.get("/v1/me").json()["name"] == "dispatcher"
    with world.records.read() as tx:
        assert tx.session_user(token, START) is None
        assert tx.session_user(hash_token(token), START) is not None


def test_cookie_is_not_for_scripts_nor_other_sites(nobody: Client) -> None:
    """The cookie that a browser's EventSource needs is out of reach of scripts and other sites."""
    answer = nobody.post("/v1/session", name="dispatcher", password=PASSWORD)
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert nobody.get("/v1/me").status_code == 200


def test_unknown_name_and_wrong_password_are_refused_alike(nobody: Client) -> None:
    """Nobody learns from the answer whether a name exists."""
    wrong = nobody.post("/v1/session", name="dispatcher", password="wrong")
    unknown = nobody.post("/v1/session", name="no such name", password="wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_sign_out_ends_the_sign_in(sign_in: Callable[[str], Client]) -> None:
    """After signing out the token is worth nothing."""
    client = sign_in("east")
    assert client.request("DELETE", "/v1/session").status_code == 204
    assert client.get("/v1/me").status_code == 401


def test_sign_in_ends_after_a_shift(world: World, dispatcher: Client) -> None:
    """A token forgotten on a desk is worth nothing the next day."""
    assert dispatcher.get("/v1/me").status_code == 200
    world.clock.at += 12 * HOUR
    assert dispatcher.get("/v1/me").status_code == 401


def test_password_never_comes_back(nobody: Client) -> None:
    """What is wrong with a request is said without repeating what may be a password."""
    answer = nobody.post("/v1/session", name="dispatcher", password="hunter2", pasword="hunter2")
    assert answer.status_code == 422
    assert "pasword" in answer.text
    assert "hunter2" not in answer.text


def test_guessing_is_slowed(world: World, nobody: Client) -> None:
    """After a few failures the next attempt has to wait, the right password too, and then works."""
    for _ in range(6):
        nobody.post("/v1/session", name="east", password="guess")
    refused = nobody.post("/v1/session", name="east", password=PASSWORD)
    assert refused.status_code == 429
    world.clock.at += int(refused.headers["retry-after"]) * SECOND
    assert nobody.post("/v1/session", name="east", password=PASSWORD).status_code == 201


def test_stranger_does_not_lock_a_person_out() -> None:
    """Where a person has signed in before, failures made elsewhere do not count."""
    patience = Patience()
    patience.succeeded("li", "10.0.0.1")
    for _ in range(5):
        patience.attempt("li", "203.0.113.9", START)
    patience.attempt("li", "10.0.0.1", START)
    with pytest.raises(SlowDown):
        patience.attempt("li", "203.0.113.9", START)


def test_wait_grows_to_its_bound() -> None:
    """However long someone guesses, the wait for the right person stays bearable."""
    patience, now, waits = Patience(), START, []
    for _ in range(15):
        patience.attempt("li", "", now)
        try:
            patience.attempt("li", "", now)
        except SlowDown as refused:
            waits.append(refused.retry_after_s - 1)
            now += waits[-1] * SECOND
    assert waits[-1] == 30
    assert waits == sorted(waits)


def test_flood_of_sign_ins_leaves_threads_for_the_others() -> None:
    """Beyond a short line sign-ins are sent away at once, rather than wait in a thread each."""
    passwords = Passwords()
    for _ in range(8):
        passwords._line.acquire()
    with pytest.raises(Unavailable):
        passwords.fits(PASSWORD, None)


def test_memory_of_failures_is_bounded() -> None:
    """Guessing at endless names does not fill the memory."""
    patience = Patience()
    for number in range(10_100):
        patience.attempt(f"name-{number}", "", START)
    assert len(patience._failures) == 10_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://desk.example"}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
    ],
)
def test_change_by_cookie_must_come_from_this_site(
    world: World, nobody: Client, headers: dict[str, str], status: int
) -> None:
    """A page of another site cannot act with the cookie of whoever looks at it."""
    cookie = {"Cookie": f"{COOKIE}={world.token('dispatcher')}"}
    answer = nobody.request("DELETE", "/v1/session", headers=cookie | headers)
    assert answer.status_code == status


def test_page_of_another_site_cannot_sign_its_visitor_in(nobody: Client) -> None:
    """Someone signed in unawares would work under another's name."""
    body = {"name": "east", "password": PASSWORD}
    answer = nobody.request("POST", "/v1/session", json=body, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403


def test_account_without_a_firm_sees_nothing(world: World, nobody: Client) -> None:
    """A firm's account that names no firm is refused, rather than shown the whole city."""
    with world.records.write() as tx:
        tx.save_user(tx.user("east").__class__(name="lost", role="firm", scope=""))
    with closing(Client(world.app, world.token("lost"))) as client:
        answer = client.get("/v1/lifts")
    assert answer.status_code == 403
    assert "no firm" in answer.json()["detail"]


def test_hashed_password_opens_the_account(world: World, nobody: Client) -> None:
    """What the command line stores for a new user is what signing in checks."""
    with world.records.write() as tx:
        tx.save_user(tx.user("east").__class__(name="new", role="inspector", password_hash=hash_password("s3cret!")))
    assert nobody.post("/v1/session", name="new", password="s3cret!").status_code == 201
