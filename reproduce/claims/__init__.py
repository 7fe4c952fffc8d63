"""What the papers claim, beside the rule that decides each claim from the records."""

from reproduce.claims import games, training
from reproduce.claims.rules import OPEN, REFUTED, SUPPORTED, Claim, Contrast, Finding

CLAIMS = (*games.CLAIMS, *training.CLAIMS)
CONTRASTS = (*training.CONTRASTS, *games.CONTRASTS)

__all__ = ["CLAIMS", "CONTRASTS", "OPEN", "REFUTED", "SUPPORTED", "Claim", "Contrast", "Finding"]
