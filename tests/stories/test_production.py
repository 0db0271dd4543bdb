"""The roles as services, over the servers and configuration files of production: TLS, ACLs, PostgreSQL, InfluxDB."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy import make_secrets
from tests import servers
from tests.production import Role, secured_mosquitto, variables
from tests.program import until


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_services_of_their_own_do_the_main_job_together(
    tmp_path: Path, postgresql_url: str, influxdb: servers.InfluxDB, influxdb_bucket: str
) -> None:
    """City, ingest, dispatch and API in four processes: a ticket appears at the API, and its crew is notified."""
    secrets = tmp_path / "secrets.d"
    assert make_secrets.main(["--folder", str(secrets)]) == 0
    with ExitStack() as stack:
        broker = stack.enter_context(secured_mosquitto(tmp_path, secrets))
        common = {
            "LIFTWATCH_RECORDS_URL": postgresql_url,
            "LIFTWATCH_TELEMETRY_URL": f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb_bucket}"
            f"?org={influxdb.org}&token={influxdb.token}",
            "LIFTWATCH_MQTT_URL": f"mqtts://localhost:{broker.port}",
            "LIFTWATCH_MQTT_CA": str(secrets / "ca.crt"),
        }

        def service(name: str, roles: str, **own: str) -> Role:
            role = Role(tmp_path / name, roles, {**common, **own})
            stack.callback(role.process.kill)
            return role

        city = service("city", "city", **variables(secrets / "city.env"))
        password = city.folder / "passwords" / "dispatcher"
        assert until(password.exists, within_s=40), city.log.read_text()
        ingest = service("ingest", "ingest,api", LIFTWATCH_MQTT_USERNAME="ingest", **variables(secrets / "ingest.env"))
        dispatch = service("dispatch", "dispatch,api")
        api = service("api", "api")
        roles = [ingest, dispatch, api]
        assert until(lambda: all(role.healthy() for role in roles), within_s=60), [r.log.read_text() for r in roles]
        api.sign_in("dispatcher", password.read_text().strip())
        assert until(lambda: api.get("/v1/tickets?open=true")["tickets"], within_s=90), ingest.log.read_text()
        ticket = api.get("/v1/tickets?open=true")["tickets"][0]
        assert until(lambda: "96333" in dispatch.log.read_text(), within_s=15)
        state = api.get(f"/v1/lifts/{ticket['lift']}/state")
        assert state["signals"]["passenger"]["value"] == 1
        history = api.get(f"/v1/lifts/{ticket['lift']}/history?signals=passenger,door_zone")
        assert len(history["at"]) > 20
        assert api.get("/v1/quarantine")["messages"] == []
        assert [role.stop() for role in [city, *roles]] == [0, 0, 0, 0]
