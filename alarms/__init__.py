"""Detection: rules, the engine that runs them over all lifts at once, and the desk that keeps the alarms."""
