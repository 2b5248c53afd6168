"""Gates of ``images``."""

from stablellava_assets.checks.gates import Gate, Suite, always, enough_made, has_rows, reasons_given, unique_ids
from stablellava_assets.tables.schemas import IMAGES

_IF_MADE = {"row_condition": 'status == "made"', "condition_parser": "pandas"}

SUITE = Suite(
    IMAGES,
    (
        has_rows(),
        unique_ids(IMAGES),
        enough_made("min_made_images"),
        reasons_given(),
        Gate(
            "pictures_are_sized",
            "Every image is between 16 and 8192 pixels wide.",
            "ExpectColumnValuesToBeBetween",
            always(column="width", min_value=16, max_value=8192, **_IF_MADE),
        ),
        Gate(
            "pictures_are_hashed",
            "Every image has a SHA-256.",
            "ExpectColumnValuesToMatchRegex",
            always(column="sha256", regex="^[0-9a-f]{64}$", **_IF_MADE),
        ),
        Gate(
            "pictures_differ",
            "At least the profile's gates.min_different_pictures of the images differ from all others, byte by byte.",
            "ExpectColumnValuesToBeUnique",
            lambda settings: {"column": "sha256", "mostly": settings.min_different_pictures, **_IF_MADE},
        ),
    ),
)
