"""Images by whitened patches of the training images as filters, pooled, with a solved head."""
