"""Tests with real targets: the tap's output loads, and reads back unchanged."""
