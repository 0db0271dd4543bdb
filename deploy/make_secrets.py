#!/usr/bin/env python3
"""Make what the production shape must not share: passwords, a private CA and the broker's certificate.

    python3 deploy/make_secrets.py --host lifts.example.org     the address that gateways connect to
    python3 deploy/make_secrets.py --gateway gw-007             one more gateway; prints its password

Writes to deploy/secrets.d, which git ignores, and leaves alone what is there already. Needs Python 3.11 and
openssl, nothing else, so it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import ipaddress
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("secrets.d")
GATEWAY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as in lift/topics.py

# The broker as other containers and the machine itself call it.
HOSTS: Final = ("mosquitto", "localhost", "127.0.0.1")
INGEST: Final = "ingest"
# The gateways of the simulated city: one for each 100 of its 300 lifts.
CITY_GATEWAYS: Final = ("gw-001", "gw-002", "gw-003")

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 825
_PASSWORD_BYTES: Final = 24
_SALT_BYTES: Final = 12
_ITERATIONS: Final = 101  # mosquitto's own; a random password of 192 bits needs no slow hash


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing and say what was made; exit status 1 when openssl fails, 2 for a bad argument."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", action="append", default=[], help="a name or IP address that gateways connect to")
    parser.add_argument("--gateway", action="append", default=[], help="a gateway to let in, under this name")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write; deploy/secrets.d if not given")
    options = parser.parse_args(arguments)
    for name in options.gateway:
        if not GATEWAY_NAME.fullmatch(name) or name == INGEST:
            parser.error(f"--gateway {name!r}: 1 to 64 letters, digits, _ or -, and not {INGEST!r}")
    try:
        make(options.folder, hosts=options.host, gateways=options.gateway)
    except subprocess.CalledProcessError as error:
        print(f"openssl failed: {error.stderr.decode(errors='replace').strip()}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def make(folder: Path, *, hosts: Sequence[str], gateways: Sequence[str]) -> None:
    """Make every secret that the folder does not hold yet, and let the gateways named in."""
    # Only its owner may enter the folder. The files inside are readable to all, since each container reads
    # the few that are mounted into it under a user of its own.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificates(folder, hosts)
    postgres = password(folder, "postgres_password")
    token = password(folder, "influxdb_token")
    for name in ("influxdb_password", "influxdb_reader_password", "grafana_password", "metrics_token"):
        password(folder, name)
    roles = {
        "LIFTWATCH_RECORDS_URL": f"postgresql+psycopg://liftwatch:{postgres}@postgresql/liftwatch",
        "LIFTWATCH_TELEMETRY_URL": f"influxdb://influxdb:8086/liftwatch?org=liftwatch&token={token}",
    }
    environment(folder, "roles.env", roles)
    environment(folder, "ingest.env", {"LIFTWATCH_MQTT_PASSWORD": let_in(folder, [INGEST])})
    environment(folder, "city.env", {"LIFTWATCH_MQTT_PASSWORD": let_in(folder, CITY_GATEWAYS)})
    for name in gateways:
        if made := let_in(folder, [name]):
            print(f"gateway {name} signs in with the password {made}")  # noqa: T201
        else:
            print(f"gateway {name} is let in already")  # noqa: T201


def password(folder: Path, name: str) -> str:
    """Give the password in a file, made now if there is none."""
    file = folder / name
    if not file.exists():
        # In hexadecimal, since a sign in front would be taken for an option by the tools that it is handed to.
        file.write_text(secrets.token_hex(_PASSWORD_BYTES))
        file.chmod(0o644)
        print(f"made {file}")  # noqa: T201
    return file.read_text()


def environment(folder: Path, name: str, values: dict[str, str]) -> None:
    """Write variables for a container, once."""
    file = folder / name
    if not file.exists():
        file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        print(f"made {file}")  # noqa: T201


def let_in(folder: Path, names: Sequence[str]) -> str:
    """Give users of the broker one new password and return it; "" if they have theirs already."""
    file = folder / "mosquitto.passwd"
    file.touch(0o644)
    known = {line.partition(":")[0] for line in file.read_text().splitlines()}
    if known.issuperset(names):
        return ""
    made = secrets.token_hex(_PASSWORD_BYTES)
    # Appended, not replaced: a container that has this very file mounted would keep the old one.
    with file.open("a") as lines:
        lines.writelines(f"{name}:{hashed(made)}\n" for name in names if name not in known)
    return made


def hashed(clear: str) -> str:
    """Hash a password as mosquitto_passwd does: PBKDF2 over SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", clear.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def certificates(folder: Path, hosts: Sequence[str]) -> None:
    """Make the CA once, and the broker's certificate; made anew when hosts are named."""
    ca, ca_key = folder / "ca.crt", folder / "ca.key"
    if not ca.exists():
        usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        subject = ["-subj", "/CN=Liftwatch private CA", "-days", str(CA_DAYS)]
        openssl("req", "-x509", *_NEW_KEY, "-keyout", str(ca_key), "-out", str(ca), *subject, *usage)
        ca_key.chmod(0o600)
        print(f"made {ca}: gateways need a copy, to know the broker by")  # noqa: T201
    server, key = folder / "mosquitto.crt", folder / "mosquitto.key"
    if server.exists() and not hosts:
        return
    request, extensions = folder / "mosquitto.csr", folder / "mosquitto.ext"
    names = ",".join(alternative(host) for host in dict.fromkeys([*HOSTS, *hosts]))
    extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    openssl("req", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", "/CN=mosquitto")
    signed_by = ["-CA", str(ca), "-CAkey", str(ca_key), "-set_serial", str(secrets.randbits(64))]
    manner = ["-days", str(SERVER_DAYS), "-sha256", "-extfile", str(extensions)]
    openssl("x509", "-req", "-in", str(request), "-out", str(server), *signed_by, *manner)
    key.chmod(0o644)
    request.unlink()
    extensions.unlink()
    print(f"made {server} for {names}")  # noqa: T201


def alternative(host: str) -> str:
    """Spell a host as a certificate names it.

    >>> alternative("mosquitto"), alternative("10.0.0.7")
    ('DNS:mosquitto', 'IP:10.0.0.7')
    """
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*arguments: str) -> None:
    """Run openssl; raises CalledProcessError with what it said."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)  # noqa: S603, S607 - no shell


if __name__ == "__main__":
    sys.exit(main())
