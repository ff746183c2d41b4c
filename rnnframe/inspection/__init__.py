"""Looking at strategies: what is needed, what is kept, when, and how long it takes."""
