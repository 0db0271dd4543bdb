"""The register that the records hold in every test of their contract."""

from lift.register import Crew, Firm, Register, Station
from tests.small_city import building, lift

BUILDINGS = (
    building("b1", 31.0, name="Plum Garden 梅园", address="1 Quay_Street"),
    building("b2", 32.0, name="Tower", address="100% Road", city_core=False),
)
FIRMS = (Firm(firm_id="f1", name="Swift", phone="111"), Firm(firm_id="f2", name="Sure", phone="222"))
LIFTS = tuple(
    lift(code, place, firm, use_registration="use", factory_number="factory", batch="D012" if place == "b1" else "")
    for code, place, firm in [("063577", "b1", "f1"), ("063500", "b2", "f1"), ("100245", "b2", "f2")]
)
REGISTER = Register(
    buildings=BUILDINGS,
    lifts=LIFTS,
    firms=FIRMS,
    stations=(Station(station_id="s1", name="South", phone="333", level=2, latitude=30.0, longitude=120.0),),
    crews=(Crew(crew_id="c1", name="Day", phone="444", employer_id="f1"),),
)
