"""Ride quality of a trip from raw three-axis acceleration in the car, by ISO 18738-1:2012 (GB/T 24474.1-2020).

Definitions, formulas, sources, and what was and was not checked against the standard's text: docs/ride-quality.md.
The standard measures and judges nothing; neither does this.
"""

from gateway.ride.assess import RideQuality, assess
from gateway.ride.recording import RATE_HZ_MIN, Gravity
from gateway.ride.trips import trips

__all__ = ["RATE_HZ_MIN", "Gravity", "RideQuality", "assess", "trips"]
