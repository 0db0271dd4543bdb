"""Drivers: each reads one kind of source and gives batches."""
