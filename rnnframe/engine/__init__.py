"""The loop that executes every schedule, its buffers, and the set-up around it."""
