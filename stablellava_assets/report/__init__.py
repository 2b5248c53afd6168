"""The page that says what a tuning bought: scores, changed answers, lineage and cost of one checkpoint."""
