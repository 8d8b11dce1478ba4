"""A month of real calls of coding agents with an answer key; other people's work, so not part of the repository.

Its folder lies beside the checkout, or where COSTLENS_SHARED_DATA says. Where that is set, missing data is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NAMED = os.environ.get("COSTLENS_SHARED_DATA")
LINKING = Path(_NAMED or Path(__file__).resolve().parents[2] / "shared" / "data") / "linking"

needs_replay_data = pytest.mark.skipif(
    _NAMED is None and not LINKING.exists(),
    reason=f"no data in {LINKING}; COSTLENS_SHARED_DATA names its parent",
)
