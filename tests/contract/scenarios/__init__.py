"""What holds for every client library: each scenario is told once, and played with all of them."""

from __future__ import annotations

from contract.scenarios.calls import Calls
from contract.scenarios.ends import Ends
from contract.scenarios.faults import Faults
from contract.scenarios.leaks import Leaks
from contract.scenarios.listening import Listening
from contract.scenarios.places import Places
from contract.scenarios.runs import Runs


class Contract(Calls, Listening, Runs, Ends, Places, Faults, Leaks):
    """The whole contract; a subclass per pair of libraries says in ``client`` which they are."""
