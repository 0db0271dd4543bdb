"""The composition root: settings, roles and the command line. Only here are parts wired together."""

import os

# For large arrays numpy asks for huge pages, which a virtual machine may take three times as long to give when they are
# first touched: a saved megacity was restored in 0.9 s without them, in 2.5 s with. Judging readings is as quick
# either way. Set before anybody imports numpy; whoever runs Liftwatch may set it otherwise.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
