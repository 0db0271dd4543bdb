"""The edge: read sensors, keep readings on disk until the platform has stored them, publish. Monitor-only."""
