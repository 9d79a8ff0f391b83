"""Tests of the sandbox: does Callcap on this machine do what its documents say."""
