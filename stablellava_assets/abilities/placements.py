"""Words for where a subject stands and how near it is: authors write them into prompts, painters read them."""

POSITIONS = ("on the left", "in the center", "on the right")
DISTANCES = ("close-up", "mid-range", "far away")
