"""The domain: what a lift, a reading, an alarm and a rescue ticket are. Pure: no I/O and no clock."""
