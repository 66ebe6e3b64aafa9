"""Property tests do not watch the clock: a busy machine is not a slow program."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
