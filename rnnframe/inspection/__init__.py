"""Analysis of cells and stores: which arrays are needed, what is kept and when, and how long it takes."""
