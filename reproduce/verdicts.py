"""Verdicts of the report's first page: does what should hold, hold?"""

from collections.abc import Sequence

HOLDS, IN_PART, NO = "Holds.", "Holds in part.", "Does not hold."
#: The intervals exclude neither the claim nor its contrary.
NOISE = "Not decided."


def all_of(flags: Sequence[bool]) -> str:
    """The verdict on a claim of which every flag is a case."""
    if not flags:
        return NOISE
    return HOLDS if all(flags) else IN_PART if any(flags) else NO
