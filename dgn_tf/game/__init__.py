"""The game inside a Keras model: its graph, its stages, its players and their captures."""
