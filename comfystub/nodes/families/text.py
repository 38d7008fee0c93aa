"""Text."""

BEHAVIOURS = {}  # type: ignore[var-annotated]
