"""Every line of the table in docs/scenarios.md stands in one of the tests of this folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TABLE = (HERE.parent.parent / "docs" / "scenarios.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!the situation|---)(.+?) \| (.+?) \| (.+?) \|$", TABLE, re.MULTILINE)
LINES = [line.strip("`") for _, line, _ in ROWS if line != "nothing"]
TESTS = "\n".join(
    file.read_text(encoding="utf-8")
    for file in sorted(HERE.glob("test_*.py"))
    if file.name != "test_table.py"
)


def test_there_is_a_table() -> None:
    assert len(ROWS) > 70
    assert len(LINES) > 60


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_part_of_a_test(line: str) -> None:
    compile(line + " pass" if line.endswith(":") else line, "scenarios.md", "exec")
    assert line in TESTS
