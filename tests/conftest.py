"""How long generated tests search: short by default, `IMPULS_TESTS=long` for a night."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("short", max_examples=200, deadline=None, print_blob=True)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("long" if os.environ.get("IMPULS_TESTS") == "long" else "short")
