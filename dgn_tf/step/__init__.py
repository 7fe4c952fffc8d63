"""One training step: observe the batch, solve the game, move the players."""
