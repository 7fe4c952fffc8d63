"""Fictitious play with exact best responses, and how fast it contracts."""
