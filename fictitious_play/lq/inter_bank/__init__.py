"""The inter-bank lending game: its matrices, closed forms and symmetric equilibria."""
