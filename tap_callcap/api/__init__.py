"""Callcap's API: the only package that knows HTTP."""
