"""The gateway's file: complete ones are taken, and every mistake is told at once, with line and remedy."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import make_secrets
from gateway import config, drivers
from gateway.config import Broker, Config
from gateway.drivers.modbus import Modbus

ROOT = Path(__file__).parents[3]
WHOLE = """\
name = "gw-007"
driver = "modbus"
encoding = "json"

[broker]
url = "mqtts://lifts.example.org"
ca = "ca.crt"
cert = "gw-007.crt"
key = "gw-007.key"
password_file = "password"

[spool]
file = "gw-007.db"
megabytes = 64
days = 2.5

[report]
interval_s = 15

[modbus]
host = "192.0.2.9"
map = "map.toml"

[lifts.063577]
unit = 1
[lifts.063578]
unit = 2
"""


LIFT_KEYS = "baudrate, framing, host, map, parity, serial, stopbits, unit"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that holds everything the file names."""
    folder = tmp_path_factory.mktemp("gateway")
    make_secrets.certificates(folder, [])
    for end in ("crt", "key"):
        (folder / f"gw-007.{end}").write_bytes((folder / f"mosquitto.{end}").read_bytes())
    (folder / "password").write_text("s3cret\n")
    (folder / "map.toml").write_text((ROOT / "gateway/maps/retrofit_box.toml").read_text())
    return folder


def read(folder: Path, text: str, **environment: str) -> tuple[Config | None, list[str]]:
    """Read a text as a gateway's file; gives problems as `line: key: reason`."""
    (folder / "gateway.toml").write_text(text)
    found, problems = config.read(folder / "gateway.toml", environment)
    return found, [f"{problem.line}: {problem.key}: {problem.reason}" for problem in problems]


def test_a_whole_file_is_taken(folder: Path) -> None:
    """Every key arrives, files are looked for beside it, and the driver is ready but has opened nothing."""
    found, problems = read(folder, WHOLE)
    assert problems == []
    assert found is not None
    assert (found.name, found.lifts, found.encoding) == ("gw-007", ("063577", "063578"), "json")
    assert found.broker == Broker(
        url="mqtts://lifts.example.org",
        username="gw-007",
        password="s3cret",
        ca=str(folder / "ca.crt"),
        cert=str(folder / "gw-007.crt"),
        key=str(folder / "gw-007.key"),
    )
    assert (found.spool.file, found.spool.bytes_max) == (folder / "gw-007.db", 64 * 1024 * 1024)
    assert (found.spool.age_max_us, found.report_interval_s) == (216_000_000_000, 15)
    assert isinstance(found.driver, Modbus)
    assert "s3cret" not in repr(found)


def test_a_short_file_is_enough(folder: Path) -> None:
    """Name, driver and broker; the rest has defaults."""
    found, problems = read(folder, 'name = "gw"\ndriver = "jsonlines"\n[broker]\nurl = "mqtt://10.0.0.1:1884"\n')
    assert problems == []
    assert found is not None
    assert (found.encoding, found.spool.file, found.broker.username) == ("arrow", folder / "spool/gw.db", "")


def test_a_password_may_come_from_the_environment(folder: Path) -> None:
    """The variable is named in the file; without it nothing starts."""
    text = WHOLE.replace('password_file = "password"', 'password_env = "GW_PASSWORD"\nusername = "seven"')
    found, _ = read(folder, text, GW_PASSWORD="x")
    assert found is not None
    assert (found.broker.username, found.broker.password) == ("seven", "x")
    assert read(folder, text)[1] == ["10: broker.password_env: GW_PASSWORD is not set in the environment"]


def test_every_mistake_is_told_at_once(folder: Path) -> None:
    """Misspelt keys with the nearest name, bounds with what is accepted, files that are not there, a map's faults."""
    (folder / "bad.toml").write_text('[signals.car_sped]\nregister = "input"\naddress = 1\ntype = "u16"\n')
    text = WHOLE.replace('"json"', '"xml"').replace("mqtts://lifts.example.org", "mqtts://me:pw@lifts.example.org")
    text = text.replace('cert = "gw-007.crt"', 'cert = "absent.crt"').replace("megabytes = 64", "megabytes = 0.5")
    text = text.replace("interval_s = 15", "intervall_s = 15").replace("map.toml", "bad.toml")
    text = text.replace("unit = 2", "unit = 1\ncolour = 3").replace('password_file = "password"', 'password = "pw123"')
    text += "[bacnet]\n"
    assert read(folder, text)[1] == [
        "3: encoding: 'xml' is not accepted: one of arrow, json",
        "6: broker.url: holds a name or a password: username, and password_file or password_env, are for that",
        "8: broker.cert: 'absent.crt' cannot be read: No such file or directory",
        "10: broker.password: does not belong into this file: password_file or password_env says where it is",
        "14: spool.megabytes: 0.5 is not a whole number from 1 to 1048576 MiB",
        "18: report.intervall_s: is not known here; did you mean interval_s?; accepted: interval_s",
        "27: lifts.063578.unit: 1 at 192.0.2.9:502 is another lift's already",
        f"28: lifts.063578.colour: is not known here; accepted: {LIFT_KEYS}",
        "29: bacnet: is of another driver: this gateway's is modbus",
        "1: signals.car_sped: is not a signal; did you mean car_speed? `GET /v1/catalogue` lists them",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"modbus"\n', '"modbuss"\n', "2: driver: 'modbuss' is not accepted; did you mean modbus?"),
        ('name = "gw-007"', 'name = "gw/7"', "1: name: 'gw/7' is not 1 to 64 letters, digits, - or _"),
        ("mqtts://lifts.example.org", "mqtt://lifts.example.org", "7: broker.ca: needs TLS"),
        ("mqtts://lifts.example.org", "mqtts://h:99999", "6: broker.url: 'mqtts://h:99999' is not mqtt://HOST"),
        ("mqtts://lifts.example.org", "mqtts://h?version=4", "6: broker.url: 'mqtts://h?version=4': after ?"),
        ('key = "gw-007.key"\n', "", "8: broker.cert: stands alone"),
        ('key = "gw-007.key"', 'key = "ca.key"', "8: broker.cert: 'gw-007.crt' and 'ca.key' are no certificate and"),
        ('ca = "ca.crt"', 'ca = "password"', "7: broker.ca: 'password' holds no certificate"),
        ('password_file = "password"', 'password_file = "map.toml"', "10: broker.password_file: 'map.toml' does not"),
        ('[broker]\nurl = "mqtts://lifts.example.org"', "[broker]", "5: broker: lacks url: a text"),
        ("[lifts.063577]\nunit = 1\n[lifts.063578]\nunit = 2\n", "", "20: modbus: there is no lift to read"),
        ("unit = 2", "unit = 248", "27: lifts.063578.unit: 248 is not a whole number from 1 to 247"),
        ('host = "192.0.2.9"\n', "", "23: lifts.063577: lacks its device: host or serial, here or in [modbus]"),
        ("interval_s = 15", "interval_s = 5", "18: report.interval_s: 5 is not a number from 10 to 30 s"),
    ],
)
def test_one_mistake_is_named_where_it_stands(folder: Path, before: str, after: str, said: str) -> None:
    """Line, key, what was found and what is accepted."""
    assert before in WHOLE
    found, problems = read(folder, WHOLE.replace(before, after, 1))
    assert found is None
    assert problems[0].startswith(said)


@given(st.sampled_from(WHOLE.splitlines()), st.data())
def test_a_misspelt_key_is_never_passed_over(folder: Path, line: str, data: st.DataObject) -> None:
    """Whichever key loses a letter, the file is refused and that line is named."""
    key = re.match(r"\w+(?= =)", line)
    if key is None or len(key[0]) < 3:
        return
    position = data.draw(st.integers(0, len(key[0]) - 1))
    wrong = line[:position] + line[position + 1 :]
    found, problems = read(folder, WHOLE.replace(line, wrong, 1))
    number = WHOLE.splitlines().index(line) + 1
    assert found is None
    assert any(problem.startswith(f"{number}: ") and "is not known here" in problem for problem in problems)


def test_every_driver_is_found_by_its_file() -> None:
    """Adding a driver touches nothing else: its file's name is its name in the gateway's file."""
    assert {"modbus", "bacnet", "jsonlines", "controller"} <= set(drivers.names())
    for name in drivers.names():
        assert drivers.load(name).__name__.lower() == name.replace("_", "")
    with pytest.raises(ImportError, match="'nothing' is not a driver"):
        drivers.load("nothing")


def test_no_driver_can_write() -> None:
    """None of the drivers so much as mentions a way to write to a device."""
    for file in (ROOT / "gateway/drivers").glob("*.py"):
        calls = re.findall(r"\.write\w*\(|\bwrite_\w+\(|\bWrite\w+Request\(", file.read_text())
        assert calls == []
