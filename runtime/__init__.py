"""The composition root: settings, roles and the command line. Only here are parts wired together."""
