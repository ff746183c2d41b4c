"""From gradients to a trained network: updates, epochs, validation, resuming."""
