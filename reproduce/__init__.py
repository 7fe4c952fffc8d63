"""One command for every figure and table of the two papers."""
