"""What the papers claim, beside the rule that decides each claim from the records."""

from reproduce.claims import contrasts, games, optimizer
from reproduce.claims.rules import OPEN, REFUTED, SUPPORTED, Claim, Contrast, Finding

CLAIMS = (*games.CLAIMS, *optimizer.CLAIMS)
CONTRASTS = (*contrasts.CONTRASTS, *games.CONTRASTS)

__all__ = ["CLAIMS", "CONTRASTS", "OPEN", "REFUTED", "SUPPORTED", "Claim", "Contrast", "Finding"]
