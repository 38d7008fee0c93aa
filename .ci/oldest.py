"""Checks that the oldest versions that pyproject.toml allows are installed (tests/oldest.txt pins them)."""

import sys
from importlib.metadata import requires, version

from packaging.requirements import Requirement

wrong = []
for line in requires("comfystub") or ():
    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": "test"}):
        continue
    installed = version(requirement.name)
    print(f"{requirement.name} {installed}")
    if [bound.version for bound in requirement.specifier if bound.operator == ">="] != [installed]:
        wrong.append(f"{requirement.name}{requirement.specifier} is allowed, {installed} is installed")
if wrong:
    sys.exit("\n".join(wrong))
