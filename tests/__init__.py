"""Tests: what Liftwatch promises, checked."""
