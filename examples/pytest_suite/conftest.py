import pytest

import stills


@pytest.fixture(autouse=True)
def poll_at_once(monkeypatch):
    monkeypatch.setattr(stills, "POLL_INTERVAL", 0)
