"""Prints what docs/index.md has its reader do, as a shell script: .ci/run follows it copy for copy."""

import re
from pathlib import Path

BLOCK = re.compile(r'^```(sh|python)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

page = Path(__file__).resolve().parent.parent / "docs" / "index.md"
for language, title, block in BLOCK.findall(page.read_text(encoding="utf-8")):
    if language == "sh":
        print(block)
    else:  # the block without a title is the test, whose name stands in the text
        print(f"cat > {title or 'test_my_app.py'} <<'END OF FILE'\n{block}END OF FILE\n")
