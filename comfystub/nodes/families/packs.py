"""Classes that widely used custom node packs bring."""

from __future__ import annotations

from collections.abc import Mapping

from comfystub.nodes.invocation import Behaviour

BEHAVIOURS: Mapping[str, Behaviour] = {}
