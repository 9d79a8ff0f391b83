"""Tests of the sandbox: does it behave as the API's documentation says."""
