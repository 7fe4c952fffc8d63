"""Figures and tables of deep fictitious play (Hu 2019)."""
