"""Tables: columns of numbers or text, their encoding, scaling and split."""
