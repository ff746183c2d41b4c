"""Files that are complete or absent, and their contents: arrays, options, tables."""
