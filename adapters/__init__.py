"""Adapters: one technology a file, named <port>_<technology>.py."""
