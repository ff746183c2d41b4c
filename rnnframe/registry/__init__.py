"""Finding plugins, keeping broken ones apart, and making things of names and specs."""
