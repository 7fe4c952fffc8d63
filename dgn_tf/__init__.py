"""The dynamic game theoretic neural optimizer: a network's layers as players of a dynamic game."""
