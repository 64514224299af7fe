"""Find out what a machine has, which settings are in force, and what is wrong with them."""
