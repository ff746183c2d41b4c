"""What plugins provide, as base classes, and the protocol of a model that the loop runs."""
