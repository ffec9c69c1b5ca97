"""The path of a lead from the committed request to its verdicts, or to the quarantine."""
