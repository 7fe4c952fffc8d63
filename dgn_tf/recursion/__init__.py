"""Backward recursions of the game: exact, in sample space, and the alternatives."""
