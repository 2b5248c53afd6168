"""Words for position and distance of a subject, written by authors and read by painters."""

POSITIONS = ("on the left", "in the center", "on the right")
DISTANCES = ("close-up", "mid-range", "far away")
