"""The game inside a Keras model: its graph, its stages, its players and what they show of themselves."""
