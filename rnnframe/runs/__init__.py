"""Run folders: checkpoints, metrics, weights, and the model in them."""
