"""What the papers claim, the rules that decide it, and what contradicts them.

The claims and the arguments of their rules are data, `claims.toml`.
"""

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from reproduce.claims import contrasts, games, training
from reproduce.claims.rules import OPEN, REFUTED, SUPPORTED, Claim, Finding

__all__ = ["CLAIMS", "CONTRASTS", "OPEN", "REFUTED", "SUPPORTED", "Claim", "Finding"]

CONTRASTS = contrasts.CONTRASTS
_PLACES = {**vars(training), **vars(games)}


def _claim(judge: list[dict[str, Any]], **row: Any) -> Claim:
    """A claim of the table, its rules bound to their arguments."""
    return Claim(**row, judges=[partial(_PLACES[given.pop("by")], **given) for given in judge])


CLAIMS = tuple(
    _claim(**row)
    for row in tomllib.loads(Path(__file__).with_name("claims.toml").read_text())["claim"]
)
