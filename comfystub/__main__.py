"""``python -m comfystub``."""

import sys

from comfystub.cli import main

sys.exit(main())
