"""Rescue: tickets, call-outs, response levels and the clocks they run against."""
