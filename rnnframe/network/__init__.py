"""A network of numpy layers: one chunk forward and one chunk back."""
