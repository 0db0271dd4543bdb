"""Condition monitoring: slow drifts of machines and doors, found in trips and in any exported series."""
