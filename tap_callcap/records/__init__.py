"""From the bytes of a call to its record. Pure."""
