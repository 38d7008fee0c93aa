"""Prints the shell commands of README.md, one a line: what it tells people to type is what .ci/run runs."""

import re
import sys
from pathlib import Path

readme = Path(__file__).resolve().parent.parent / "README.md"
blocks = re.findall(r"^```sh\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
commands = [block.strip() for block in blocks]
if len(commands) != 2 or any("\n" in command for command in commands):
    sys.exit(f"README.md should have exactly two sh blocks of one line each, and has {commands}")
print("\n".join(commands))
