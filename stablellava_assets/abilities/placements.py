"""Words for position, distance and number of things, written by authors and read by painters."""

POSITIONS = ("on the left", "in the center", "on the right")
DISTANCES = ("close-up", "mid-range", "far away")
NUMBERS = {"one": "only one", "two": "two of them", "three": "three of them"}
"""The keyword in a prompt, by the word in a sentence."""
