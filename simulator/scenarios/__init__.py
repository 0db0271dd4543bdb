"""Named scenarios, one a file, each with its SCENARIO: for stories, demos and failures that must not come back."""
