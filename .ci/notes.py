"""Prints the notes of a release: its section of CHANGELOG.md, each paragraph on one line.

python .ci/notes.py [VERSION]; without a version, that of the package.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

package = (ROOT / "comfystub" / "__init__.py").read_text(encoding="utf-8")
version = sys.argv[1] if sys.argv[1:] else re.search(r'^__version__ = "(.+)"$', package, re.M)[1]
changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
section = re.search(
    rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$(.*?)(?=^## |^\[|\Z)", changelog, re.M | re.S
)
if section is None or not section[1].strip():
    sys.exit(f"CHANGELOG.md has nothing under a heading `## [{version}] - YEAR-MONTH-DAY`")
print(re.sub(r"(?<=\S)\n *(?=[^\s#-])", " ", section[1].strip()))
