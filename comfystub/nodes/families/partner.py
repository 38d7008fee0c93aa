"""Partner nodes."""

from __future__ import annotations

from comfystub.nodes.passing import pass_on

BEHAVIOURS = {}  # type: ignore[var-annotated]
DEFAULT = pass_on
