"""What the caller hands in: checked, cut into dense pieces, copied only where needed. Knows no network."""
