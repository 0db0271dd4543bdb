"""A city's rules are checked when they are made."""

import pytest

from dispatch.policy import Policy
from lift.errors import Invalid
from lift.ticket import ClockName


@pytest.mark.parametrize(
    "wrong",
    [
        {"accept_s": 0.0},
        {"arrive_s": -1.0},
        {"legal_accident_s": 90_000.0},
        {"answer_s": float("nan")},
        {"hotline": "call us"},
        {"hotline": ""},
        {"code_length": 0},
        {"levels": ()},
        {"last_resort_phone": ""},
        {"utc_offset_min": 900},
    ],
)
def test_a_rule_nobody_could_work_with_is_refused_by_name(wrong: dict[str, object]) -> None:
    """The error names the field and says what is accepted."""
    [field] = wrong
    with pytest.raises(Invalid, match=field):
        Policy(**wrong)  # type: ignore[arg-type]


def test_every_clock_has_a_length() -> None:
    """No clock of the domain is without one, and only arrival knows of the outskirts."""
    policy = Policy()
    for name in ClockName:
        assert policy.clock_s(name) > 0
        differs = policy.clock_s(name) != policy.clock_s(name, city_core=False)
        assert differs == (name is ClockName.ARRIVE)
