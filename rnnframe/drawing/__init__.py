"""Pictures with matplotlib (extra `plot`); import these modules only if a picture is needed."""
