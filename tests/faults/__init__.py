"""Faults injected on purpose, and the one checker that says which promise they broke."""
