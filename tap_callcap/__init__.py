"""Singer tap for Callcap call tracking."""
