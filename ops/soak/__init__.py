"""Long runs at random, by a seed that repeats them."""
