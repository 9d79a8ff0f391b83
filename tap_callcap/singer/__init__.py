"""The Singer side: the only package that knows the inside of the SDK."""
