"""Asks a live Callcap what its documentation leaves open, and prints a table without any data."""
