"""Tests with real targets: does what the tap writes load, and read back as it was."""
