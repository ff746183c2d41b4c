"""Pictures with matplotlib (extra `plot`); import these modules only where a picture was asked for."""
