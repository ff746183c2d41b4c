"""Files that are there whole or not at all, and what is written into them: arrays, options, tables."""
