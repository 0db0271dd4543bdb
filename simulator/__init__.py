"""Truth: a simulated city of lifts, its people and its faults, with a record of what really happened."""
