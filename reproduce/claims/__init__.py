"""What the papers claim, beside the rule that decides each claim from the records."""

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from reproduce.claims import contrasts, games, training
from reproduce.claims.rules import OPEN, REFUTED, SUPPORTED, Claim, Finding

CONTRASTS = contrasts.CONTRASTS
_PLACES = {**vars(training), **vars(games)}


def _claim(row: dict[str, Any]) -> Claim:
    """A claim of the table, its rules bound to their arguments."""
    judges = [partial(_PLACES[given.pop("by")], **given) for given in row.pop("judge")]
    return Claim(**{**row, "data": tuple(row.get("data", ()))}, judges=tuple(judges))


CLAIMS = tuple(
    _claim(row)
    for row in tomllib.loads(Path(__file__).with_name("claims.toml").read_text())["claim"]
)

__all__ = ["CLAIMS", "CONTRASTS", "OPEN", "REFUTED", "SUPPORTED", "Claim", "Finding"]
