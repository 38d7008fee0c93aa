"""The scenarios lie beside the tests that they become; their asserts are to be explained all the same."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contract.scenarios")
