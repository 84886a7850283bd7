"""How well labels are ranked: precision, recall and average precision of the first k."""
