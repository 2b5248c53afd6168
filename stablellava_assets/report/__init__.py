"""The report on a checkpoint: scores, changed answers, lineage and cost."""
