"""The folder of a run: checkpoints, metrics, weights, and the model in them."""
